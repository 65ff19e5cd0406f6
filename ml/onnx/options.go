package onnx

import "io/fs"

// Option changes how a file is read.
type Option func(*options)

type options struct {
	dims        map[string]int
	fixed       map[string][]float64
	batch       int
	whole       bool
	outputs     []string
	perRow      []string
	files       fs.FS
	maxElements int
}

func newOptions(opts []Option) options {
	o := options{dims: map[string]int{}, fixed: map[string][]float64{}, maxElements: 1 << 28}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Dim fixes an open dimension, such as "height" or the length of sequences, of the
// graph's inputs. One without a name of its own is named by its place: "x[2]" is
// dimension 2 of input x. The batch dimension needs none: a size that is given by its
// name is that of the other dimensions of this name, and a call takes any number of rows all
// the same.
func Dim(name string, size int) Option { return func(o *options) { o.dims[name] = size } }

// Batch says which axis of the input is the batch, by default 0: 1 where the time
// comes first. In the model it is the first all the same, in the output too.
func Batch(axis int) Option { return func(o *options) { o.batch = axis } }

// Whole says that no axis of the input is a batch: one row of the model is all that
// the graph reads in one call, with every dimension that the file gives it. What
// the graph does with the first axis is then its own affair.
func Whole() Option { return func(o *options) { o.whole = true } }

// Fix gives an input of the graph the same values for every row, such as the
// lengths of sequences that are all of one length, or a state to begin with. One
// value stands for all elements.
func Fix(input string, values ...float64) Option {
	return func(o *options) { o.fixed[input] = values }
}

// PerRow makes further inputs of the graph parts of the model's row, such as the
// state of a stream: a row is then a list of numbers, those of the input without an
// option and behind them those of each input that is named here.
func PerRow(inputs ...string) Option {
	return func(o *options) { o.perRow = append(o.perRow, inputs...) }
}

// Output picks an output of the graph by its name, by default the first. Of several,
// a row's result is a list of numbers, those of each one after another. It may also
// name what a node inside the graph writes: the graph then ends there, and nodes that
// don't lead to it aren't read, such as a NonMaxSuppression behind a detector, whose
// boxes the program chooses itself.
func Output(names ...string) Option { return func(o *options) { o.outputs = names } }

// Files says where the files lie to which an ONNX file may refer for its weights
// (external data), by paths within it. Without this such a file is refused.
func Files(files fs.FS) Option { return func(o *options) { o.files = files } }

// MaxElements bounds the elements of all arrays of the graph together, for one
// row: weights, what is computed from them, and activations (default 2^28, 1 GiB).
// A file is read for two rows as well, which share the weights.
func MaxElements(n int) Option { return func(o *options) { o.maxElements = n } }
