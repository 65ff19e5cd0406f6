// Package serializers saves links, optimizers and trainers to files and loads
// them again. The files are Chainer's: an npz whose keys are the paths of the
// values, such as "predictor/l1/W" or "updater/optimizer:main/t", so weights
// and snapshots go both ways.
//
// What can be saved implements [Stateful]: one method that walks over the
// values, for saving and for loading alike. Loading is all or nothing: values
// change only after the whole file was found to fit, and the error lists
// everything that didn't.
package serializers
