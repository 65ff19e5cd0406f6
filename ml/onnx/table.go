package onnx

// operators are the known operators of ONNX's default domain. The table is never
// written; what reads nodes finds it in its importer, since the table refers to If.
var operators = map[string]operator{
	"Conv": {conv, floats}, "MaxPool": {pool, anything}, "AveragePool": {pool, floats}, "LpPool": {pool, floats}, "ConvTranspose": {convTranspose, floats},
	"GlobalAveragePool": {globalPool, floats}, "GlobalMaxPool": {globalPool, floats},
	"BatchNormalization": {batchNorm, floats},
	"Gemm":               {gemm, numbers}, "MatMul": {matMul, numbers},
	"LSTM": {lstm, floats}, "GRU": {gru, floats},

	"Relu": {elementwise, numbers}, "Neg": {elementwise, numbers}, "Abs": {elementwise, numbers},
	"Sigmoid": {elementwise, floats}, "Tanh": {elementwise, floats}, "Softplus": {elementwise, floats},
	"Exp": {elementwise, floats}, "Log": {elementwise, floats}, "Sqrt": {elementwise, floats},
	"LeakyRelu": {elementwise, floats}, "Elu": {elementwise, floats}, "HardSigmoid": {elementwise, floats},
	"PRelu": {prelu, floats}, "Clip": {clip, anything},
	"Softmax": {softmax, floats}, "LogSoftmax": {softmax, floats},

	"Add": {arithmetic, numbers}, "Sub": {arithmetic, numbers}, "Mul": {arithmetic, numbers},
	"Div": {arithmetic, numbers}, "Pow": {arithmetic, numbers},
	"Sum": {variadic, floats}, "Mean": {variadic, floats},
	"Min": {variadic, anything}, "Max": {variadic, anything},
	"ReduceMean": {reduce, floats}, "ReduceMax": {reduce, anything}, "ReduceMin": {reduce, anything}, "ReduceSum": {reduce, numbers},

	"Identity": {identity, anything}, "Dropout": {dropout, floats}, "Cast": {cast, unchecked},
	"Constant": {constant, unchecked}, "ConstantOfShape": {constantOfShape, unchecked}, "Shape": {shapeOf, unchecked},
	"Reshape": {reshape, anything}, "Flatten": {flatten, anything}, "Squeeze": {squeeze, anything}, "Unsqueeze": {squeeze, anything},
	"Transpose": {transpose, anything}, "Concat": {concat, anything}, "Split": {split, anything}, "Slice": {slice, anything},
	"Gather": {gather, anything}, "Pad": {pad, anything}, "Expand": {expand, anything},

	"Ceil": {mapped, floats}, "Floor": {mapped, floats}, "Round": {mapped, floats}, "Erf": {mapped, floats},
	"Sin": {mapped, floats}, "Cos": {mapped, floats}, "Tan": {mapped, floats}, "Asin": {mapped, floats}, "Acos": {mapped, floats}, "Atan": {mapped, floats},
	"Sinh": {mapped, floats}, "Cosh": {mapped, floats}, "Asinh": {mapped, floats}, "Acosh": {mapped, floats}, "Atanh": {mapped, floats},
	"Reciprocal": {mapped, floats}, "Softsign": {mapped, floats}, "Mish": {mapped, floats}, "HardSwish": {mapped, floats}, "Gelu": {mapped, floats},
	"Celu": {mapped, floats}, "Selu": {mapped, floats}, "Shrink": {mapped, numbers}, "ThresholdedRelu": {mapped, floats}, "Swish": {mapped, floats}, "SwiGLU": {swiGLU, floats},
	"Sign": {mapped, anything}, "Not": {mapped, anything}, "IsNaN": {mapped, floats}, "IsInf": {mapped, floats},

	"Equal": {compared, anything}, "Less": {compared, anything}, "LessOrEqual": {compared, anything},
	"Greater": {compared, anything}, "GreaterOrEqual": {compared, anything},
	"And": {compared, anything}, "Or": {compared, anything}, "Xor": {compared, anything},
	"BitwiseAnd": {bitwise, numbers}, "BitwiseOr": {bitwise, numbers}, "BitwiseXor": {bitwise, numbers}, "BitShift": {bitwise, numbers},
	"Mod": {arithmetic, numbers}, "Where": {choose, anything}, "CastLike": {castLike, unchecked},

	"ReduceProd": {reduce, numbers}, "ReduceL1": {reduce, floats}, "ReduceL2": {reduce, floats}, "ReduceSumSquare": {reduce, floats},
	"ReduceLogSum": {reduce, floats}, "ReduceLogSumExp": {reduce, floats},
	"ArgMax": {extreme, anything}, "ArgMin": {extreme, anything}, "Hardmax": {hardmax, floats},
	"CumSum": {cumulate, numbers}, "CumProd": {cumulate, numbers}, "TopK": {top, anything},

	"LayerNormalization": {layerNorm, floats}, "RMSNormalization": {rmsNorm, floats}, "InstanceNormalization": {groupNorm, floats},
	"GroupNormalization": {groupNorm, floats}, "MeanVarianceNormalization": {meanVarianceNorm, floats}, "LpNormalization": {lpNorm, floats}, "LRN": {lrn, floats},

	"Resize": {resize, anything}, "Upsample": {resize, floats}, "If": {branch, unchecked}, "Loop": {loop, anything}, "Scan": {scan, anything},
	"ReverseSequence": {reverseSequence, anything}, "CenterCropPad": {centerCropPad, anything}, "BitwiseNot": {bitwiseNot, numbers},
	"Attention": {attend, anything}, "RotaryEmbedding": {rotary, anything}, "RNN": {rnn, floats}, "Einsum": {einsum, floats},
	"NegativeLogLikelihoodLoss": {loss, anything}, "SoftmaxCrossEntropyLoss": {loss, anything},
	"QuantizeLinear": {quantize, unchecked}, "DequantizeLinear": {dequantize, unchecked}, "DynamicQuantizeLinear": {dynamicQuantize, floats}, "Compress": {compress, anything},
	"Size": {size, unchecked}, "Range": {span, unchecked}, "Tile": {tile, anything}, "Trilu": {triangle, anything},
	"DepthToSpace": {blocks, anything}, "SpaceToDepth": {blocks, anything}, "OneHot": {oneHot, anything}, "EyeLike": {eyeLike, unchecked},
	"CausalConvWithState": {causalConv, floats}, "LinearAttention": {linearAttention, floats}, "GridSample": {gridSample, floats},
	"AffineGrid": {affineGrid, floats}, "DeformConv": {deformConv, floats}, "Col2Im": {col2im, floats}, "DFT": {dft, floats}, "STFT": {stft, floats},
	"HannWindow": {window, anything}, "HammingWindow": {window, anything}, "BlackmanWindow": {window, anything}, "MelWeightMatrix": {mel, anything},
	"Det": {det, floats}, "Unique": {unique, anything}, "NonZero": {nonZero, anything}, "NonMaxSuppression": {nonMaxSuppression, anything}, "BitCast": {bitCast, unchecked},
	"MatMulInteger": {matMulInteger, numbers}, "ConvInteger": {convInteger, numbers}, "QLinearMatMul": {qLinearMatMul, unchecked}, "QLinearConv": {qLinearConv, unchecked},
	"TensorScatter": {tensorScatter, anything},

	"GatherElements": {gatherElements, anything}, "GatherND": {gatherND, anything},
	"ScatterElements": {scatterElements, anything}, "Scatter": {scatterElements, anything}, "ScatterND": {scatterND, anything},
}
