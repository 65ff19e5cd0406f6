package ml

import (
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/rdd"
)

// ModelLengths is [Model] for rows of different lengths, such as sentences: the
// network is compiled for each of a few lengths, an element runs at the least one
// that it fits, and those of one length run together. rowShape is the shape of a row
// of a length. Each length has packed weights of its own.
func ModelLengths(ssc *engine.StreamingContext, name string, build func() Network, npz []byte, lengths []int, rowShape func(length int) []int) *ModelRef {
	if rowShape == nil {
		ssc.Fail("ml.ModelLengths "+name, rdd.ErrNilFunction)
		rowShape = func(length int) []int { return []int{max(1, length)} }
	}
	m := &ModelRef{}
	loads := m.forEach(ssc, "ml.ModelLengths "+name, lengths, func(length int) (loader, error) { return networkLoader(build, rowShape(length)) })
	return m.declare(ssc, name, npz, loads...)
}

// ONNXLengths is [ONNX] for rows of different lengths; see [ModelLengths]. opts says
// how the file is read for a length:
//
//	func(length int) []onnx.Option { return []onnx.Option{onnx.Dim("T", length), onnx.PerRow("mask")} }
func ONNXLengths(ssc *engine.StreamingContext, name string, file []byte, lengths []int, opts func(length int) []onnx.Option) *ModelRef {
	if opts == nil {
		ssc.Fail("ml.ONNXLengths "+name, rdd.ErrNilFunction)
		opts = func(int) []onnx.Option { return nil }
	}
	m := &ModelRef{}
	loads := m.forEach(ssc, "ml.ONNXLengths "+name, lengths, func(length int) (loader, error) {
		return onnxLoader(opts(length)), nil
	})
	return m.declare(ssc, name, file, loads...)
}

// forEach makes a loader for each length, of which there must be some.
func (m *ModelRef) forEach(ssc *engine.StreamingContext, op string, lengths []int, load func(length int) (loader, error)) (loads []loader) {
	m.lengths = slices.Compact(slices.Sorted(slices.Values(lengths)))
	if len(m.lengths) == 0 || m.lengths[0] < 1 {
		ssc.Fail(op, fmt.Errorf("%w: lengths %v: give those that rows are padded to, each at least 1, such as 16, 32, 64", ErrModel, lengths))
	}
	for _, n := range m.lengths {
		l, err := load(n)
		if err != nil {
			ssc.Fail(op, err)
		}
		loads = append(loads, l)
	}
	return loads
}

// PredictLengths is [Predict] for a model of several lengths. length is how long an
// element is; encode fills a row of one of the model's lengths, which comes as zeros:
// what it leaves is padding. Where the network reads a mask that says which places
// count, it is part of the row (for an ONNX file by onnx.PerRow); a network without
// one takes the padding for data. The length that a row ran at, which is in its
// result, depends on the element alone. An element that is longer than the longest is
// an error that says [ErrLength].
func PredictLengths[T, U any](in *engine.DStream[T], m *ModelRef, length func(v T) int, encode func(v T, length int, row []float32) error, decode func(v T, out Row) (U, error)) *engine.DStream[U] {
	const op = "ml.PredictLengths"
	if length == nil || encode == nil || decode == nil {
		in.Context().Fail(op+" "+m.Name(), rdd.ErrNilFunction)
	}
	if m.require(in.Context(), op) && m.lengths == nil {
		in.Context().Fail(op+" "+m.Name(), fmt.Errorf("%w: it has one length; make it with ml.ModelLengths or ml.ONNXLengths, or use ml.Predict", ErrModel))
	}
	return engine.Derive(in, "predict "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		row := Row{Model: m.Name(), Digest: b.Model(m.Name()), Batch: b.Seq}
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error] {
			return atVersion(m.model, b, part, func(v *version, yield func(U, error) bool) error {
				p := &lengthPredictor[T, U]{row: row, lengths: m.lengths, length: length, encode: encode, decode: decode}
				return p.run(v, in, yield)
			})
		})
	}, length, encode, decode)
}

// maxWaiting is how many elements wait for others of their length at most.
const maxWaiting = 4 * maxRows

// lengthPredictor runs one partition through a model of several lengths.
type lengthPredictor[T, U any] struct {
	row     Row
	lengths []int
	length  func(T) int
	encode  func(T, int, []float32) error
	decode  func(T, Row) (U, error)

	waiting []T
	places  [][]int // among waiting, by length
	results []U
}

// run takes the elements in groups, whose results it yields in their order.
func (p *lengthPredictor[T, U]) run(version *version, in iter.Seq2[T, error], yield func(U, error) bool) error {
	p.places = make([][]int, len(p.lengths))
	for v, err := range in {
		if err != nil {
			return err
		}
		n := p.length(v)
		k, _ := slices.BinarySearch(p.lengths, n)
		if n < 0 || k == len(p.lengths) {
			return fmt.Errorf("making an input row of model %s: %w: its length is %d, the model's are %v; cut it, or give the model a longer one", p.row.Model, ErrLength, n, p.lengths)
		}
		p.places[k] = append(p.places[k], len(p.waiting))
		if p.waiting = append(p.waiting, v); len(p.waiting) == maxWaiting {
			if more, err := p.flush(version, yield); err != nil || !more {
				return err
			}
		}
	}
	_, err := p.flush(version, yield)
	return err
}

// flush runs the waiting elements, those of one length together.
func (p *lengthPredictor[T, U]) flush(version *version, yield func(U, error) bool) (more bool, err error) {
	p.results = slices.Grow(p.results[:0], len(p.waiting))[:len(p.waiting)]
	for k := range p.lengths {
		if err := p.runLength(version.byLength[k], k); err != nil {
			return false, err
		}
	}
	for _, u := range p.results {
		if !yield(u, nil) {
			return false, nil
		}
	}
	clear(p.waiting)
	clear(p.results)
	p.waiting = p.waiting[:0]
	return true, nil
}

// runLength runs the elements of one length.
func (p *lengthPredictor[T, U]) runLength(version *version, k int) error {
	places := p.places[k]
	if len(places) == 0 {
		return nil
	}
	p.places[k] = places[:0]
	row := p.row
	row.Length = p.lengths[k]
	return version.runAll(row, len(places),
		func(i int, in []float32) error { return p.encode(p.waiting[places[i]], row.Length, in) },
		func(i int, out Row) (err error) {
			p.results[places[i]], err = p.decode(p.waiting[places[i]], out)
			return err
		})
}
