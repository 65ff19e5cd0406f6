package functions_test

import (
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

type vars = []*nn.Variable

func list(v ...*nn.Variable) vars { return v }

// each wraps a function of one variable.
func each(g func(x *nn.Variable) *nn.Variable) func(x vars) vars {
	return func(x vars) vars { return list(g(x[0])) }
}

// both wraps a function of two variables.
func both(g func(a, b *nn.Variable) *nn.Variable) func(x vars) vars {
	return func(x vars) vars { return list(g(x[0], x[1])) }
}

// opt returns the last input of a fixture that may not have it.
func opt(x vars, i int) *nn.Variable {
	if i < len(x) {
		return x[i]
	}
	return nil
}

// linspace is NumPy's.
func linspace(from, to float32, n int) *nn.Variable {
	v := make([]float32, n)
	for i := range v {
		v[i] = from + (to-from)*float32(i)/float32(n-1)
	}
	return nn.From(nil, v, n)
}

// chainerCases maps the cases of functions_io.npz, which Chainer 7.8.1 wrote, to
// ours.
var chainerCases = map[string]func(x vars) vars{
	"relu":                     each(f.ReLU),
	"leaky_relu":               each(func(x *nn.Variable) *nn.Variable { return f.LeakyReLU(x, 0.2) }),
	"elu":                      each(func(x *nn.Variable) *nn.Variable { return f.ELU(x, 1) }),
	"sigmoid":                  each(f.Sigmoid),
	"tanh":                     each(f.Tanh),
	"softplus":                 each(f.Softplus),
	"softmax":                  each(f.Softmax),
	"log_softmax":              each(f.LogSoftmax),
	"clipped_relu":             each(func(x *nn.Variable) *nn.Variable { return f.ClippedReLU(x, 0.7) }),
	"hard_sigmoid":             each(f.HardSigmoid),
	"sum_axis0":                each(func(x *nn.Variable) *nn.Variable { return f.Sum(x, 0) }),
	"mean_axis1_keep":          each(func(x *nn.Variable) *nn.Variable { return f.MeanKeepDims(x, 1) }),
	"max_axis1":                each(func(x *nn.Variable) *nn.Variable { return f.Max(x, -1) }),
	"logsumexp":                each(func(x *nn.Variable) *nn.Variable { return f.LogSumExp(x, 1) }),
	"exp":                      each(f.Exp),
	"reshape":                  each(func(x *nn.Variable) *nn.Variable { return f.Reshape(x, 5, -1) }),
	"transpose":                each(func(x *nn.Variable) *nn.Variable { return f.Transpose(x) }),
	"expand_dims":              each(func(x *nn.Variable) *nn.Variable { return f.ExpandDims(x, 1) }),
	"broadcast_to":             each(func(x *nn.Variable) *nn.Variable { return f.BroadcastTo(x, 2, 3, 5) }),
	"split_axis":               func(x vars) vars { return f.SplitAt(x[0], []int{2, 3}, 1) },
	"separate":                 func(x vars) vars { return f.Separate(x[0], 0) },
	"get_item":                 each(func(x *nn.Variable) *nn.Variable { return f.GetItem(x, f.From(1), f.Every(f.All(), 2)) }),
	"pad":                      each(func(x *nn.Variable) *nn.Variable { return f.Pad(x, [][2]int{{1, 0}, {0, 2}}, 0) }),
	"normalize":                each(func(x *nn.Variable) *nn.Variable { return f.Normalize(x, 1e-5) }),
	"tile":                     each(func(x *nn.Variable) *nn.Variable { return f.Tile(x, 2, 1) }),
	"flip":                     each(func(x *nn.Variable) *nn.Variable { return f.Flip(x, 1) }),
	"softmax_cross_entropy":    both(func(x, t *nn.Variable) *nn.Variable { return f.SoftmaxCrossEntropy(x, t) }),
	"softmax_cross_entropy_no": both(func(x, t *nn.Variable) *nn.Variable { return f.SoftmaxCrossEntropy(x, t, f.PerElement()) }),
	"softmax_cross_entropy_ignore": both(func(x, t *nn.Variable) *nn.Variable {
		return f.SoftmaxCrossEntropy(x, t, f.IgnoreLabel(-1))
	}),
	"select_item":            both(f.SelectItem),
	"accuracy":               both(func(x, t *nn.Variable) *nn.Variable { return f.Accuracy(x, t) }),
	"mean_squared_error":     both(f.MeanSquaredError),
	"mean_absolute_error":    both(f.MeanAbsoluteError),
	"huber_loss":             both(func(a, b *nn.Variable) *nn.Variable { return f.HuberLoss(a, b, 1) }),
	"sigmoid_cross_entropy":  both(func(x, t *nn.Variable) *nn.Variable { return f.SigmoidCrossEntropy(x, t) }),
	"bernoulli_nll":          both(f.BernoulliNLL),
	"gaussian_kl_divergence": both(f.GaussianKLDivergence),
	"concat":                 func(x vars) vars { return list(f.Concat(x, 1)) },
	"stack":                  func(x vars) vars { return list(f.Stack(x, 1)) },
	"matmul_tb":              both(func(a, b *nn.Variable) *nn.Variable { return f.MatMulTrans(a, b, false, true) }),
	"batch_matmul":           both(f.MatMul),
	"linear":                 func(x vars) vars { return list(f.Linear(x[0], x[1], opt(x, 2))) },
	"bilinear":               func(x vars) vars { return list(f.Bilinear(x[0], x[1], x[2])) },
	"embed_id":               both(f.EmbedID),
	"embed_id_ignore":        both(func(x, w *nn.Variable) *nn.Variable { return f.EmbedIDIgnore(x, w, -1) }),
	"minimum":                both(f.Minimum),
	"where":                  func(x vars) vars { return list(f.Where(x[0], x[1], x[2])) },
	"max_pooling_2d_3s2_coverall": each(func(x *nn.Variable) *nn.Variable {
		return f.MaxPooling2D(x, 3, f.Stride(2))
	}),
	"max_pooling_2d_3s2p1_nocover": each(func(x *nn.Variable) *nn.Variable {
		return f.MaxPooling2D(x, 3, f.Stride(2), f.Padding(1), f.CoverAll(false))
	}),
	"average_pooling_2d_3s2p1": each(func(x *nn.Variable) *nn.Variable {
		return f.AveragePooling2D(x, 3, f.Stride(2), f.Padding(1))
	}),
	"unpooling_2d":  each(func(x *nn.Variable) *nn.Variable { return f.Unpooling2D(x, 2) }),
	"resize_images": each(func(x *nn.Variable) *nn.Variable { return f.ResizeImages(x, 5, 11) }),
	"local_response_normalization": each(func(x *nn.Variable) *nn.Variable {
		return f.LocalResponseNormalization(x, 5, 2, 1e-4, 0.75)
	}),
	"spatial_pyramid_pooling_2d": each(func(x *nn.Variable) *nn.Variable { return f.SpatialPyramidPooling2D(x, 2) }),
	"convolution_2d": func(x vars) vars {
		return list(f.Convolution2D(x[0], x[1], opt(x, 2), f.Stride(2), f.Padding(1)))
	},
	"convolution_2d_dilate": both(func(x, w *nn.Variable) *nn.Variable { return f.Convolution2D(x, w, nil, f.Dilation(2)) }),
	"convolution_2d_groups": both(func(x, w *nn.Variable) *nn.Variable {
		return f.Convolution2D(x, w, nil, f.Padding(1), f.Groups(3))
	}),
	"depthwise_convolution_2d": both(func(x, w *nn.Variable) *nn.Variable {
		return f.DepthwiseConvolution2D(x, w, nil, f.Padding(1))
	}),
	"deconvolution_2d": func(x vars) vars {
		return list(f.Deconvolution2D(x[0], x[1], opt(x, 2), f.Stride(2), f.Padding(1)))
	},
	"convolution_1d": both(func(x, w *nn.Variable) *nn.Variable { return f.Convolution1D(x, w, nil, f.Padding(1)) }),
	"batch_normalization_train": func(x vars) vars {
		y, _, _ := f.BatchNormalization(x[0], x[1], x[2], 2e-5)
		return list(y)
	},
	"fixed_batch_normalization": func(x vars) vars {
		n := x[1].Dim(0)
		return list(f.FixedBatchNormalization(x[0], x[1], x[2], linspace(-0.3, 0.4, n), linspace(0.5, 1.5, n), 2e-5))
	},
	"layer_normalization": func(x vars) vars { return list(f.LayerNormalization(x[0], x[1], x[2], 1e-5)) },
	"group_normalization": func(x vars) vars { return list(f.GroupNormalization(x[0], 3, x[1], x[2], 1e-5)) },
	"lstm": func(x vars) vars {
		c, h := f.LSTM(x[0], x[1])
		return list(c, h)
	},
	"prelu":              both(f.PReLU),
	"maxout":             each(func(x *nn.Variable) *nn.Variable { return f.Maxout(x, 2) }),
	"dropout_given_mask": both(f.DropoutMask),
	"negative_pow_mix": both(func(a, b *nn.Variable) *nn.Variable { // -a*b + a/(2+b*b) - a**2
		h := f.Add(f.Neg(f.Mul(a, b)), f.Div(a, f.AddScalar(f.Mul(b, b), 2)))
		return f.Sub(h, f.PowScalar(a, 2))
	}),
	"crf1d_like_logsoftmax_chain": each(func(x *nn.Variable) *nn.Variable {
		return f.Sum(f.Mul(f.LogSoftmax(x), f.Softmax(x)))
	}),
}
