package kernel

import "math"

// Batch normalisation works on n x c x inner arrays (inner is 1 for matrices, H*W
// for images) and normalises each channel over n and inner.

// BatchNormTrain computes y = gamma*(x-mean)*invStd + beta with the batch's own
// statistics, and leaves mean, the biased variance and invStd =
// 1/sqrt(variance+eps), c long each, for the backward pass and the running
// averages.
func BatchNormTrain(y, x, gamma, beta, mean, variance, invStd []float32, n, c, inner int, eps float32) {
	for j := range c {
		mean[j], variance[j] = channelMoments(x, j, n, c, inner)
		invStd[j] = float32(1 / math.Sqrt(float64(variance[j])+float64(eps)))
		scale := gamma[j] * invStd[j]
		affineChannel(y, x, j, n, c, inner, scale, beta[j]-mean[j]*scale)
	}
}

// BatchNormInfer computes y = gamma*(x-mean)/sqrt(variance+eps) + beta with given
// statistics.
func BatchNormInfer(y, x, gamma, beta, mean, variance []float32, n, c, inner int, eps float32) {
	for j := range c {
		scale := float32(float64(gamma[j]) / math.Sqrt(float64(variance[j])+float64(eps)))
		affineChannel(y, x, j, n, c, inner, scale, beta[j]-mean[j]*scale)
	}
}

// BatchNormGrad computes gx, ggamma and gbeta from the statistics that
// BatchNormTrain left (Ioffe and Szegedy 2015, section 3).
func BatchNormGrad(gx, ggamma, gbeta, x, gy, gamma, mean, invStd []float32, n, c, inner int) {
	count := float64(n * inner)
	for j := range c {
		var sumG, sumGX float64
		for i := range n {
			o := (i*c + j) * inner
			for k, g := range gy[o : o+inner] {
				sumG += float64(g)
				sumGX += float64(g) * float64((x[o+k]-mean[j])*invStd[j])
			}
		}
		gbeta[j], ggamma[j] = float32(sumG), float32(sumGX)
		scale := gamma[j] * invStd[j]
		mg, mgx := float32(sumG/count), float32(sumGX/count)
		for i := range n {
			o := (i*c + j) * inner
			for k := range inner {
				hat := (x[o+k] - mean[j]) * invStd[j]
				gx[o+k] = scale * (gy[o+k] - mg - hat*mgx)
			}
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

// channelMoments returns mean and biased variance of channel j, in two passes so
// that a large mean doesn't eat the variance.
func channelMoments(x []float32, j, n, c, inner int) (mean, variance float32) {
	count := float64(n * inner)
	var sum float64
	for i := range n {
		for _, v := range x[(i*c+j)*inner:][:inner] {
			sum += float64(v)
		}
	}
	mu := sum / count
	var sq float64
	for i := range n {
		for _, v := range x[(i*c+j)*inner:][:inner] {
			d := float64(v) - mu
			sq += d * d
		}
	}
	return float32(mu), float32(sq / count)
}

func affineChannel(y, x []float32, j, n, c, inner int, scale, shift float32) {
	for i := range n {
		o := (i*c + j) * inner
		affine(active, y[o:o+inner], x[o:o+inner], scale, shift)
	}
}
