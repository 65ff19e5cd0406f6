package kernel

import "math"

// Batch normalisation works on n x c x inner arrays (inner is 1 for matrices, H*W
// for images) and normalises each channel over n and inner.

// BatchNormTrain computes y = gamma*(x-mean)*invStd + beta with the batch's own
// statistics, and leaves mean, the biased variance and invStd =
// 1/sqrt(variance+eps), c long each, for the backward pass and the running
// averages.
func BatchNormTrain(y, x, gamma, beta, mean, variance, invStd []float32, n, c, inner int, eps float32) {
	batchNormTrain(active, y, x, gamma, beta, mean, variance, invStd, n, c, inner, eps)
}

func batchNormTrain(l Level, y, x, gamma, beta, mean, variance, invStd []float32, n, c, inner int, eps float32) {
	if scattered(n, inner) {
		s := getScratch()
		defer putScratch(s)
		t := channelsFirst(l, grow(&s.a, n*c*inner), x, n)
		batchNormTrain(l, t, t, gamma, beta, mean, variance, invStd, 1, c, n*inner, eps)
		channelsBack(l, y, t, n)
		return
	}
	for j := range c {
		mean[j], variance[j] = channelMoments(l, x, j, n, c, inner)
		invStd[j] = float32(1 / math.Sqrt(float64(variance[j])+float64(eps)))
		scale := gamma[j] * invStd[j]
		affineChannel(l, y, x, j, n, c, inner, scale, beta[j]-float32(mean[j]*scale))
	}
}

// BatchNormInfer computes y = gamma*(x-mean)/sqrt(variance+eps) + beta with given
// statistics.
func BatchNormInfer(y, x, gamma, beta, mean, variance []float32, n, c, inner int, eps float32) {
	s := getScratch()
	defer putScratch(s)
	scale, shift := grow(&s.a, c), grow(&s.b, c)
	for j := range c {
		scale[j] = float32(float64(gamma[j]) / math.Sqrt(float64(variance[j])+float64(eps)))
		shift[j] = beta[j] - float32(mean[j]*scale[j])
	}
	if inner == 1 {
		for i := range n {
			row := y[i*c : (i+1)*c]
			Mul(row, x[i*c:(i+1)*c], scale)
			Add(row, row, shift)
		}
		return
	}
	for j := range c {
		affineChannel(active, y, x, j, n, c, inner, scale[j], shift[j])
	}
}

// BatchNormGrad computes gx, ggamma and gbeta from the statistics that
// BatchNormTrain left (Ioffe and Szegedy 2015, section 3). gx may be gy.
func BatchNormGrad(gx, ggamma, gbeta, x, gy, gamma, mean, invStd []float32, n, c, inner int) {
	batchNormGrad(active, gx, ggamma, gbeta, x, gy, gamma, mean, invStd, n, c, inner)
}

func batchNormGrad(l Level, gx, ggamma, gbeta, x, gy, gamma, mean, invStd []float32, n, c, inner int) {
	if scattered(n, inner) {
		s := getScratch()
		defer putScratch(s)
		tx, tg := channelsFirst(l, grow(&s.a, n*c*inner), x, n), channelsFirst(l, grow(&s.b, n*c*inner), gy, n)
		batchNormGrad(l, tg, ggamma, gbeta, tx, tg, gamma, mean, invStd, 1, c, n*inner)
		channelsBack(l, gx, tg, n)
		return
	}
	count := float64(n * inner)
	for j := range c {
		var s sums
		for i := range n {
			s.grad(l, channel(x, i, j, c, inner), channel(gy, i, j, c, inner), float64(mean[j]))
		}
		sumG, sumXG := s.total2(), s.total()*float64(invStd[j])
		gbeta[j], ggamma[j] = float32(sumG), float32(sumXG)
		meanG, meanXG := float32(sumG/count), float32(sumXG/count)
		for i := range n {
			normGrad(l, channel(gx, i, j, c, inner), channel(x, i, j, c, inner), channel(gy, i, j, c, inner),
				mean[j], invStd[j], meanG, meanXG, gamma[j]*invStd[j])
		}
	}
}

// NormGrad computes gx = scale*(gy - meanG - (x-mean)*invStd*meanXG): the gradient
// of elements that were normalised together, where meanG is the mean of gy and
// meanXG that of gy*(x-mean)*invStd. gx may be x or gy.
func NormGrad(gx, x, gy []float32, mean, invStd, meanG, meanXG, scale float32) {
	normGrad(active, gx, x, gy, mean, invStd, meanG, meanXG, scale)
}

func normGrad(l Level, gx, x, gy []float32, mean, invStd, meanG, meanXG, scale float32) {
	x, gy = x[:len(gx)], gy[:len(gx)]
	for i := normGradVec(l, gx, x, gy, mean, invStd, meanG, meanXG, scale); i < len(gx); i++ {
		hat := float32((x[i] - mean) * invStd)
		gx[i] = scale * (gy[i] - meanG - float32(hat*meanXG))
	}
}

// ChannelGrad is the backward pass of y = scale*(x-mean) + beta with given numbers
// for each channel: it computes gx = scale*gy, unless gx is nil, and for each channel
// the sums of gy and of gy*(x-mean). gx may be gy.
func ChannelGrad(gx, sumG, sumXG, x, gy, scale, mean []float32, n, c, inner int) {
	channelGrad(active, gx, sumG, sumXG, x, gy, scale, mean, n, c, inner)
}

func channelGrad(l Level, gx, sumG, sumXG, x, gy, scale, mean []float32, n, c, inner int) {
	if scattered(n, inner) {
		s := getScratch()
		defer putScratch(s)
		tx, tg := channelsFirst(l, grow(&s.a, n*c*inner), x, n), channelsFirst(l, grow(&s.b, n*c*inner), gy, n)
		if gx == nil {
			channelGrad(l, nil, sumG, sumXG, tx, tg, scale, mean, 1, c, n*inner)
			return
		}
		channelGrad(l, tg, sumG, sumXG, tx, tg, scale, mean, 1, c, n*inner)
		channelsBack(l, gx, tg, n)
		return
	}
	for j := range c {
		var s sums
		for i := range n {
			s.grad(l, channel(x, i, j, c, inner), channel(gy, i, j, c, inner), float64(mean[j]))
		}
		sumG[j], sumXG[j] = float32(s.total2()), float32(s.total())
		if gx != nil {
			affineChannel(l, gx, gy, j, n, c, inner, scale[j], 0)
		}
	}
}

// FoldBatchNorm turns a convolution or dense layer followed by a batch
// normalisation in inference into the layer alone: rows of w (one for each of the
// output channels, len(w)/len(b) long) and b are changed in place.
func FoldBatchNorm(w, b, gamma, beta, mean, variance []float32, eps float32) {
	row := len(w) / len(b)
	for j := range b {
		scale := float32(float64(gamma[j]) / math.Sqrt(float64(variance[j])+float64(eps)))
		Scale(w[j*row:(j+1)*row], scale)
		b[j] = (b[j]-mean[j])*scale + beta[j]
	}
}

// scattered tells whether a channel's elements lie in pieces that are too short for
// vectors, or far apart for their length. Then the whole array is transposed, so that
// each channel lies in one piece.
func scattered(n, inner int) bool {
	return n > 1 && inner < lanes || n >= lanes && inner < 4*lanes
}

// channelsFirst writes the transpose of x, an array of n rows, to dst.
func channelsFirst(l Level, dst, x []float32, n int) []float32 {
	cols := len(dst) / n
	transposeInto(l, dst, n, x, cols, n, cols)
	return dst
}

// channelsBack undoes channelsFirst.
func channelsBack(l Level, dst, t []float32, n int) {
	cols := len(t) / n
	transposeInto(l, dst, cols, t, n, cols, n)
}

// channelMoments returns mean and biased variance of channel j, in two passes so
// that a large mean doesn't eat the variance.
func channelMoments(l Level, x []float32, j, n, c, inner int) (mean, variance float32) {
	count := float64(n * inner)
	var sum, square sums
	for i := range n {
		sum.add(l, channel(x, i, j, c, inner))
	}
	mu := sum.total() / count
	for i := range n {
		square.square(l, channel(x, i, j, c, inner), mu)
	}
	return float32(mu), float32(square.total() / count)
}

func affineChannel(l Level, y, x []float32, j, n, c, inner int, scale, shift float32) {
	for i := range n {
		affine(l, channel(y, i, j, c, inner), channel(x, i, j, c, inner), scale, shift)
	}
}
