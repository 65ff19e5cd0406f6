// Package compile turns a recorded forward pass into a program for inference:
//
//	model, err := compile.Network(net.Forward, 1, 28, 28)
//	worker := model.NewWorker(256)
//	y, err := worker.Run(images, n) // n rows in, n rows out
//
// # What is done once
//
// [Network] evaluates what depends on weights alone, refuses weights that hold a
// NaN or an infinity, drops what does nothing in inference (dropout, identity,
// changes of shape), folds batch normalisation into the convolution or dense
// layer before it, fuses convolution, bias, a residual sum, activation and max
// pooling, and dense layer, bias and activation. Steps that make up a function of
// single elements run together, behind a convolution over the parts of its result as
// they are made. Images are kept with their channels innermost between convolutions,
// and the weights of a dense layer behind them are permuted to fit. Channels that are
// joined are made where they are to be, and those that are cut out are read where they
// are, by layers that take pixels apart from one another; the larger images are kept from
// the first of their parts to the last that reads any of them. Weights are packed for the
// kernels once.
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
// beside it or on their number.
//
// The network must keep rows apart too, and what isn't known to is refused. It is
// recorded a second time, with two rows. The trace of one shows most of what goes
// over the batch axis (batch.go). In that of two each element has owners, the rows
// that it depends on, and an operation that makes one of both is refused with its
// line (owners.go, follow.go); an operation of the user's own says that it keeps
// rows apart as an nn.Rowwise. The output of two rows must be the first row's result
// and then the second's, as Run returns them, which excludes what joins or moves
// along the batch axis (together.go). Both traces must compute the same with the same
// constants (alike.go). And unless it costs more than a second, two different rows
// run together, as the network does, and each alone, as the model does
// (together.go): that knows nothing of operations, and their results must agree. A
// network that fails with two rows was written for one, so that each row of a
// batch is a run of its own.
//
// # How a batch runs
//
// Layers that work image by image (convolutions, poolings and what lies between
// them) run for a few rows at a time, so that a chunk stays in the cache from
// layer to layer; convolutions whose weights are larger than the images run for more
// rows, and the dense layers that follow for all rows at once, so that their weights
// are read less often, or once a batch. Recurrent networks are recorded step by
// step; steps that read the same weights share one packed copy.
//
// # The files
//
// model.go compiles, after batch.go, owners.go, follow.go, together.go and alike.go have
// found the rows apart. fold.go evaluates constants, lower.go recognises, and fuse.go
// fuses, elementwise.go with the functions of the operations. layers.go computes;
// sequence.go lowers and computes what sequences need, pointwise.go functions of single
// elements, broadcast.go those of arrays of two shapes, axes.go orders of axes, sums.go
// sums, table.go products with rows of zeros and a one, deconv.go transposed
// convolutions; perchannel.go, slopes.go, responsenorm.go, shuffle.go and channelcut.go
// what goes channel by channel, with rows of channels repeated by repeat.go. parts.go finds
// images that are channels of larger ones, of which spaced.go tells the layers. plan.go
// lays out memory, worker.go runs, errors.go names what may go wrong.
package compile
