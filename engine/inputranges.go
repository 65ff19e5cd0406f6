package engine

// InputRanges are what a batch reads of one input.
type InputRanges[T any] struct {
	Input  T      // as [NewInput] was given it
	Ranges []byte // in the input's own encoding
}

// InputRangesOf returns what the batch b reads of those inputs that d is made of and that
// implement I, in the order of their declaration: what a connector tells its programs about a
// batch. Of a batch that reaches back, those of earlier batches aren't among them. b is one
// that a function of the program is given.
func InputRangesOf[I, T any](b Batch, d *DStream[T]) []InputRanges[I] {
	if b.alloc == nil {
		return nil
	}
	var all []InputRanges[I]
	for _, in := range d.ssc.program.Graph.InputsOf(d.node.ID) {
		source, ok := in.Source.(I)
		if a := b.alloc.Input(in.ID); ok && a != nil { // else it was planned before the program had the input
			all = append(all, InputRanges[I]{source, a.Ranges})
		}
	}
	return all
}
