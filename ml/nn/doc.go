// Package nn is the core of Hibana's neural networks: arrays, variables that
// remember how they were computed, and backpropagation through that memory.
//
// # Define by run
//
// A network is ordinary Go code. A function such as functions.ReLU computes at
// once and notes what it did, so a loop, an if or a recursion builds the
// network that it walked through, and Backward follows the notes back:
//
//	tape := nn.NewTape(nn.Train, nn.Seed(1))
//	h := tape.Input(images)
//	for _, layer := range layers {
//		h = functions.ReLU(layer.Forward(h))
//	}
//	loss := functions.SoftmaxCrossEntropy(h, tape.Input(labels))
//	if err := loss.Backward(); err != nil {
//		return err
//	}
//
// # Modes
//
// Whether dropout drops, which statistics batch normalisation uses and whether
// anything is noted for Backward is the [Tape]'s business, and a variable
// passes its tape on to what is computed from it. So there is no global
// configuration: chainer.using_config('train', False) and
// chainer.no_backprop_mode() are nn.NewTape(nn.Evaluate). A variable without a
// tape ([NewVariable]) is in training mode and records, as in Chainer.
//
// # Errors
//
// A function never panics and never returns an error. What went wrong is kept
// in the variable that it returns, with the function's name, the layer, the
// shapes and the file and line where user code called it. Everything computed
// from a failed variable is that same failure; [Variable.Backward] returns
// it, [Variable.Err] and [Tape.Err] show it earlier, and training.Trainer
// stops with it. So one check at the end covers a whole network. A failed
// variable has neither shape nor data: its Data is nil, its Float NaN.
//
// # Arrays
//
// Arrays are Gorgonia's *tensor.Dense, row-major: float32 for everything that
// has a gradient, int32 for labels and tokens, bool for conditions. Images are
// (batch, channel, height, width).
//
// # Memory
//
// By default Go's garbage collector frees what nobody holds. A loop that makes
// the same shapes again and again (a trainer) asks for [Recycle] and calls
// [Tape.Release] after each step: the next step then runs in the same memory.
//
// # Operations
//
// An operation is an [Op]: a small struct of attributes that knows its output
// shapes, its forward and its backward computation. It has no other state, so
// one value may serve several goroutines; what one application needs is in its
// [Call]. The built-in ones are in package op; user code may add its own and
// applies it with [Apply]. Package graph runs the same operations in
// Gorgonia's machines.
package nn
