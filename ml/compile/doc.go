// Package compile turns a recorded forward pass into a program for inference:
//
//	model, err := compile.Network(net.Forward, 1, 28, 28)
//	worker := model.NewWorker(256)
//	y, err := worker.Run(images, n) // n rows in, n rows out
//
// # What is done once
//
// [Trace] evaluates what depends on weights alone, refuses weights that hold a
// NaN or an infinity, drops what does nothing in inference (dropout, identity,
// changes of shape), folds batch normalisation into the convolution or dense
// layer before it, fuses convolution, bias, a residual sum, activation and max
// pooling, and dense layer, bias and activation. Images are kept with their
// channels innermost between convolutions, and the weights of a dense layer
// behind them are permuted to fit. Weights are packed for the kernels once.
//
// A [Model] is immutable and shared; a [Worker] is scratch memory for one
// goroutine. N workers cost the weights once and N times the scratch.
//
// # Invariant: a row is alone
//
// A forward pass is recorded with one row. What the kernels can do for many rows
// at once they do with one chain of sums per element, whose order depends on the
// layer alone; every other operation runs once for each row, with that row as
// its whole input. So no row's result depends, to the last bit, on the rows
// beside it or on their number. An operation
// over the batch axis, which would mean something else for one row, is refused
// (batch.go).
//
// # How a batch runs
//
// Layers that work image by image (convolutions, poolings and what lies between
// them) run for a few rows at a time, so that a chunk stays in the cache from
// layer to layer; the dense layers that follow run for all rows at once, so that
// their weights are read once a batch. Recurrent networks are recorded step by
// step; steps that read the same weights share one packed copy. The files: lower.go
// recognises, fuse.go fuses, fold.go evaluates constants, layers.go computes,
// sequence.go lowers and computes what sequences need, plan.go lays out memory,
// worker.go runs.
package compile
