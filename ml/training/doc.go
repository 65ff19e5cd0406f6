// Package training runs the loop that trains a network: batches from an
// iterator, a loss, an optimizer's step, and extensions that evaluate, report,
// plot and save on the way. It is Chainer's Trainer.
//
//	model := links.Classifier(net)
//	optimizer := optimizers.Adam(model)
//	train, test := datasets.MNIST()
//	trainer := training.New(optimizer, iterators.Serial(train, 100), training.Epochs(20))
//	trainer.Extend(extensions.Evaluate(test), extensions.LogReport(), extensions.PrintReport())
//	err := trainer.Run(ctx)
//
// The network is anything that computes a loss from a batch of whatever the
// iterator yields: see [Model] and [Loss].
//
// A run is a function of its seeds: the iterator's, the network's
// (links.Seed) and the trainer's ([Seed], for dropout). A trainer is
// serializable, in Chainer's layout, so serializers.SaveNPZ and LoadNPZ, or
// extensions.Snapshot, stop a run and go on as if it had not been stopped.
package training
