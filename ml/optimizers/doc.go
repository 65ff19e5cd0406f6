// Package optimizers holds the rules that train a network: SGD, MomentumSGD,
// NesterovAG, AdaGrad, AdaDelta, RMSprop, RMSpropGraves, SMORMS3, Adam and
// AdamW, with Chainer's names, defaults and results.
//
//	optimizer := optimizers.Adam(model)
//	optimizer.Alpha = 0.0005
//	optimizer.AddHook(optimizers.WeightDecay(1e-4))
//
// An optimizer's settings are fields of its type, which may be changed between
// steps. After Backward of a loss, Update moves the parameters.
package optimizers
