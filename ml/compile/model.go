package compile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Model is a compiled network: packed weights and a plan. It is immutable and
// may be used by any number of goroutines, each through a [Worker] of its own.
type Model struct {
	in, out []int // shapes of a row
	values  []value
	instrs  []instr
	tail    int // instrs[tail:] run for all rows at once, those before in chunks
	input   int // values
	output  int
	plan    plan
	weights int // bytes
}

// Network records a forward pass in mode Evaluate for a row of the given shape,
// without the batch dimension, and compiles it. What it computes with functions is
// recorded; a forward pass that reads elements that depend on its input is refused
// with an error that says nn.ErrRead. It is recorded with two rows as well, and
// refused if it puts them together or doesn't return the first row's result followed
// by the second's; one that fails with more than one row was written for one, and is
// computed for each.
func Network(forward func(x *nn.Variable) *nn.Variable, shape ...int) (*Model, error) {
	if forward == nil {
		return nil, fmt.Errorf("compiling: %w: it is nil", ErrForward)
	}
	return Recorded(func(rows int) (*graph.Trace, error) {
		if rows == 1 {
			return record(forward, append([]int{1}, shape...))
		}
		t, err := recordBatch(forward, append([]int{rows}, shape...))
		if errors.Is(err, nn.ErrShape) || errors.Is(err, nn.ErrValue) {
			return nil, nil
		}
		return t, err
	})
}

// Whole compiles a network, recorded in mode Evaluate, one row of which is all that
// it is ever given in one call: nothing is known or checked of a batch axis within.
// Its input and its output are (1, ...).
func Whole(t *graph.Trace) (*Model, error) {
	b, err := newBuilder(t)
	if err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	if err := b.lower(); err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	m, err := b.finish()
	if err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	return m, nil
}

// record runs forward on zeros.
func record(forward func(x *nn.Variable) *nn.Variable, shape []int) (*graph.Trace, error) {
	x, err := nn.Zeros(shape...)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return graph.Record(nn.Evaluate, func(x []*nn.Variable) []*nn.Variable {
		return []*nn.Variable{forward(x[0])}
	}, x)
}

// recordBatch is record for more than one row. A program that was written for one
// may do anything with more, and is refused if it panics.
func recordBatch(forward func(x *nn.Variable) *nn.Variable, shape []int) (t *graph.Trace, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it panics: %v; a pass for one row at a time returns what failed, as functions.Reshape does", ErrForward, p)
		}
	}()
	return record(forward, shape)
}

// Recorded compiles a network that record writes down, in mode Evaluate, for a
// given number of rows: one input, a float32 array (rows, ...), and one output. It
// is asked for one row, which is what is compiled, and for two, which must be kept
// apart and computed alike: it returns nil if the network takes one row only, and
// then each row of a batch is one run of the network. The traces and the network
// aren't needed any more afterwards.
func Recorded(record func(rows int) (*graph.Trace, error)) (*Model, error) {
	m, err := compileRows(record)
	if err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	return m, nil
}

func compileRows(record func(rows int) (*graph.Trace, error)) (*Model, error) {
	one, err := record(1)
	if err != nil {
		return nil, err
	}
	b, err := newBuilder(one)
	if err != nil {
		return nil, err
	}
	if err := b.checkBatch(); err != nil {
		return nil, err
	}
	two, err := record(rowsTogether)
	if err != nil {
		return nil, fmt.Errorf("with %d rows: %w", rowsTogether, err)
	}
	var t *together
	if two != nil {
		if t, err = withTwo(b, two); err != nil {
			return nil, err
		}
	}
	if err := b.lower(); err != nil {
		return nil, err
	}
	m, err := b.finish()
	if err == nil && t != nil {
		err = t.checkResults(m)
	}
	return m, err
}

// InputShape returns the shape of a row, without the batch dimension.
func (m *Model) InputShape() []int { return slices.Clone(m.in) }

// OutputShape returns the shape of a row's result, without the batch dimension.
func (m *Model) OutputShape() []int { return slices.Clone(m.out) }

// InputLen returns the number of elements of a row.
func (m *Model) InputLen() int { return size(m.in) }

// OutputLen returns the number of elements of a row's result.
func (m *Model) OutputLen() int { return size(m.out) }

// WeightBytes returns the memory of the packed weights, which all workers
// share.
func (m *Model) WeightBytes() int { return m.weights }

// ScratchBytes returns the memory of one worker for up to maxBatch rows.
func (m *Model) ScratchBytes(maxBatch int) int { return m.plan.floats(maxBatch) * 4 }

// Flops returns the floating-point operations of a row's convolutions and dense
// layers when they are computed directly, a multiply-add counting two.
func (m *Model) Flops() float64 {
	n := 0.0
	for _, in := range m.instrs {
		switch l := in.layer.(type) {
		case *dense:
			n += 2 * float64(l.rows) * float64(l.w.K()) * float64(l.w.N())
		case *conv:
			n += 2 * float64(l.images) * l.shape.MulAdds()
		case *deconv:
			n += 2 * float64(l.images*l.h*l.w*l.c) * float64(len(l.bias)*len(l.rows))
		}
	}
	return n
}

// PeakFlops measures what one core does at most, in floating-point operations a
// second: multiply-adds on registers, without memory, for about d, at the CPU
// level that models run at. It ends with ctx and its error.
func PeakFlops(ctx context.Context, d time.Duration) (float64, error) { return kernel.Peak(ctx, d) }

// String lists the layers in the order in which they run, one a line, with the
// shape of each result; the line "-- all rows" divides those that run for a few
// rows at a time from those that run for all, and "-- more rows" those that run for
// more rows at a time than the ones before.
func (m *Model) String() string {
	var b strings.Builder
	for i, in := range m.instrs {
		if k := m.stageOf(i); i > 0 && k > 0 && i == m.plan.stages[k-1].until && k < len(m.plan.stages)-1 {
			b.WriteString("-- more rows\n")
		}
		if i == m.tail {
			b.WriteString("-- all rows\n")
		}
		v := m.values[in.out[0]]
		layout := ""
		if v.nhwc {
			layout = " NHWC"
		}
		fmt.Fprintf(&b, "%s %s%s\n", in.layer, nn.FormatShape(v.shape), layout)
	}
	return b.String()
}

// size is the number of elements of a shape.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// rowShape takes the batch dimension off a shape that was recorded with one row.
func rowShape(s tensor.Shape) []int {
	if len(s) > 0 && s[0] == 1 {
		return slices.Clone(s[1:])
	}
	return slices.Clone(s)
}
