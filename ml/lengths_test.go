package ml_test

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/rdd"
)

// averager scores the mean of a sequence; a row is the values and a mask that says
// which of them count.
type averager struct {
	links.Chain
	score *links.LinearLink
}

func newAverager() *averager {
	a := &averager{}
	a.score = links.Add(a, "score", links.Linear(2, links.InSize(1)))
	return a
}

func (a *averager) Forward(x *nn.Variable) *nn.Variable {
	parts := functions.SplitAxis(x, 2, 1) // values and mask, (N, 1, length) each
	sum := functions.Sum(functions.Mul(parts[0], parts[1]), 2)
	return a.score.Forward(functions.Div(sum, functions.Sum(parts[1], 2)))
}

// sequence is made of a seed: its length is from 1 to 13.
func sequence(seed int) []float32 {
	v := make([]float32, 1+seed*7%13)
	for i := range v {
		v[i] = float32((seed+i*i)%11) - 5
	}
	return v
}

// ran is a result and the length that it ran at.
type ran struct {
	Seed, Length int
	Scores       [2]float32
}

func maskedRow(seed, length int, row []float32) error {
	if len(row) != 2*length || slices.ContainsFunc(row, func(v float32) bool { return v != 0 }) {
		return fmt.Errorf("a row of %d for the length %d, or not of zeros", len(row), length)
	}
	for i, v := range sequence(seed) {
		row[i], row[length+i] = v, 1
	}
	return nil
}

func lengthOf(seed int) int { return len(sequence(seed)) }

// predictLengths runs sequences at the lengths.
func predictLengths(t *testing.T, input [][]int, file []byte, lengths ...int) ([][]ran, error) {
	return enginetest.Run(t, input, len(input), func(in *engine.DStream[int]) *engine.DStream[ran] {
		m := ml.ModelLengths(in.Context(), "mean", func() ml.Network { return newAverager() }, file, lengths, func(n int) []int { return []int{2, n} })
		return ml.PredictLengths(in, m, lengthOf, maskedRow,
			func(seed int, out ml.Row) (ran, error) { return ran{seed, out.Length, [2]float32(out.Output)}, nil })
	})
}

// TestPredictLengths: each element runs at the least length that it fits, keeps its
// place, and has the result that the network itself gives without any padding, which
// PredictEager runs.
func TestPredictLengths(t *testing.T) {
	file := fileOf(t, newAverager())
	many := make([]int, 1300) // more than wait at once
	for i := range many {
		many[i] = i
	}
	got, err := predictLengths(t, [][]int{many, {5}, {}}, file, 13, 4, 8, 4)
	if err != nil {
		t.Fatal(err)
	}
	eager, err := enginetest.Run(t, [][]int{many[:50]}, 1, func(in *engine.DStream[int]) *engine.DStream[ran] {
		return ml.PredictEager(in, ml.Eager(in.Context(), "mean", newAverager, file), func(tape *nn.Tape, net *averager, seed int) (ran, error) {
			v := sequence(seed)
			y := net.Forward(nn.From(tape, slices.Concat(v, slices.Repeat([]float32{1}, len(v))), 1, 2, len(v)))
			if y.Err() != nil {
				return ran{}, y.Err()
			}
			return ran{seed, len(v), [2]float32(y.Floats())}, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got[0]) != len(many) || len(eager[0]) != 50 || len(got[1]) != 1 || len(got[2]) != 0 || got[1][0] != got[0][5] {
		t.Fatalf("%d and %d results; alone %v, among many %v", len(got[0]), len(eager[0]), got[1], got[0][5])
	}
	for i, r := range got[0] {
		n := lengthOf(i)
		if want := map[bool]int{true: 4, false: 8}[n <= 4]; r.Seed != i || n <= 8 && r.Length != want || n > 8 && r.Length != 13 {
			t.Fatalf("result %d is %+v, of a sequence of %d", i, r, n)
		}
	}
	for i, want := range eager[0] {
		for k, w := range want.Scores {
			if g := got[0][i].Scores[k]; math.Abs(float64(g-w)) > 1e-5*(1+math.Abs(float64(w))) {
				t.Errorf("sequence %d: padded %v, as it is %v", i, got[0][i], want)
			}
		}
	}
}

// TestPredictLengthsErrors: what is wrong with lengths is said before the first
// batch, and an element that is too long with what to do.
func TestPredictLengthsErrors(t *testing.T) {
	file := fileOf(t, newAverager())
	if _, err := predictLengths(t, [][]int{{0, 1}}, file, 4); !errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), "its length is 8, the model's are [4]; cut it") {
		t.Errorf("a sequence of 8: %v", err)
	}
	for name, c := range map[string]struct {
		lengths []int
		says    string
	}{
		"none":     {nil, "ml.ModelLengths mean at ml/lengths_test.go:"},
		"zero":     {[]int{4, 0}, "lengths [4 0]"},
		"bad rows": {[]int{-3}, "at least 1"},
	} {
		if _, err := predictLengths(t, [][]int{{0}}, file, c.lengths...); !errors.Is(err, ml.ErrModel) || errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nothing := func(int, ml.Row) (int, error) { return 0, nil }
	for says, op := range map[string]func(in *engine.DStream[int]) *engine.DStream[int]{
		"use ml.PredictLengths": func(in *engine.DStream[int]) *engine.DStream[int] {
			m := ml.ModelLengths(in.Context(), "mean", func() ml.Network { return newAverager() }, file, []int{4}, func(n int) []int { return []int{2, n} })
			return ml.Predict(in, m, encode, nothing)
		},
		"or use ml.Predict": func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.PredictLengths(in, ml.Model(in.Context(), "small", small, weights(t), 3), lengthOf, maskedRow, nothing)
		},
		"make one with ml.Eager": func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.PredictEager(in, nil, func(*nn.Tape, *averager, int) (int, error) { return 0, nil })
		},
		"returned nil": func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.PredictEager(in, ml.Eager(in.Context(), "m", func() links.Link { return nil }, file), func(*nn.Tape, links.Link, int) (int, error) { return 0, nil })
		},
		"for the length 5: with rows of shape (7): compiling: tracing: Linear (layer 0): shapes do not fit": func(in *engine.DStream[int]) *engine.DStream[int] {
			m := ml.ModelLengths(in.Context(), "small", small, weights(t), []int{3, 5}, func(n int) []int { return []int{2*n - 3} })
			return ml.PredictLengths(in, m, lengthOf, maskedRow, nothing)
		},
	} {
		if _, err := enginetest.Run(t, [][]int{{0}}, 1, op); err == nil || errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// TestPredictEagerBeginsAnew: a recurrent network has no state of the element before,
// and what a function refuses fails the batch.
func TestPredictEagerBeginsAnew(t *testing.T) {
	build := func() *links.LSTMLink { return links.LSTM(3, links.InSize(1)) }
	file := fileOf(t, build())
	run := func(input []int) ([][]float32, error) {
		return enginetest.Run(t, [][]int{input}, 1, func(in *engine.DStream[int]) *engine.DStream[float32] {
			return ml.PredictEager(in, ml.Eager(in.Context(), "lstm", build, file), func(tape *nn.Tape, net *links.LSTMLink, steps int) (float32, error) {
				var y *nn.Variable
				for i := range max(1, steps) {
					y = net.Forward(nn.From(tape, []float32{float32(i + steps)}, 1, 1))
				}
				if steps < 0 {
					functions.Reshape(y, 100)
				}
				return y.Floats()[0], nil
			})
		})
	}
	got, err := run([]int{2, 1, 2, 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	if y := got[0]; y[0] != y[2] || y[0] != y[4] || y[0] == y[1] || y[0] == y[3] {
		t.Errorf("sequences of 2, 1, 2, 3, 2 steps: %v", y)
	}
	if _, err := run([]int{2, -1}); !errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), "running model lstm") || !strings.Contains(err.Error(), "Reshape") {
		t.Errorf("a shape that doesn't fit: %v", err)
	}
}

// TestPredictEagerErrors: an error says whether the network couldn't be made or run; one of
// the elements isn't the model's.
func TestPredictEagerErrors(t *testing.T) {
	file := fileOf(t, newAverager())
	broken := errors.New("broken")
	var none atomic.Bool // the build function returns nil
	build := func() *averager {
		if none.Load() {
			return nil
		}
		return newAverager()
	}
	same := func(_ *nn.Tape, _ *averager, v int) (int, error) { return v, nil }
	for says, op := range map[string]func(in *engine.DStream[int], m *ml.EagerModel[*averager]) *engine.DStream[int]{
		"running model mean: broken": func(in *engine.DStream[int], m *ml.EagerModel[*averager]) *engine.DStream[int] {
			return ml.PredictEager(in, m, func(*nn.Tape, *averager, int) (int, error) { return 0, broken })
		},
		"broken": func(in *engine.DStream[int], m *ml.EagerModel[*averager]) *engine.DStream[int] {
			return ml.PredictEager(engine.TryMap(in, func(int) (int, error) { return 0, broken }), m, same)
		},
		// The second operator needs a second network.
		"making a network of model mean: its build function returned nil": func(in *engine.DStream[int], m *ml.EagerModel[*averager]) *engine.DStream[int] {
			twice := ml.PredictEager(ml.PredictEager(in, m, same), m, same)
			return engine.MapPartitions(twice, func(_ rdd.Part, in iter.Seq[int]) iter.Seq[int] {
				none.Store(true)
				return in
			})
		},
	} {
		_, err := enginetest.Run(t, [][]int{{1}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
			return op(in, ml.Eager(in.Context(), "mean", build, file))
		})
		if !errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), says) || says == "broken" && strings.Contains(err.Error(), "model") {
			t.Errorf("%v; want %q", err, says)
		}
		none.Store(false)
	}
}
