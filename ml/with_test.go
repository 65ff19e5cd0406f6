package ml_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/vision"
)

// The example of faces says of an image of another size what is wrong with it.
func TestFacesOfAnotherSize(t *testing.T) {
	c := &cascade{width: 640, height: 480, find: vision.Faces{Smallest: 40}}
	c.sizes = c.find.Sizes(c.width, c.height)
	_, err := c.faces(nil, vision.NewImage(320, 200))
	if err == nil || !strings.Contains(err.Error(), "an image of 320x200, the models are for 640x480") {
		t.Errorf("error %v, want both sizes", err)
	}
}

// A function that runs models itself gets of each row what Predict and PredictLengths get.
func TestPredictWith(t *testing.T) {
	file, mean := weights(t), fileOf(t, newAverager())
	models := func(ssc *engine.StreamingContext) (*ml.ModelRef, *ml.ModelRef) {
		return ml.Model(ssc, "small", small, file, 3),
			ml.ModelLengths(ssc, "mean", func() ml.Network { return newAverager() }, mean, []int{4, 8, 13}, func(n int) []int { return []int{2, n} })
	}
	const most = 700
	many := make([]int, most)
	for i := range many {
		many[i] = i
	}
	one, err := enginetest.Run(t, [][]int{many}, 1, func(in *engine.DStream[int]) *engine.DStream[string] {
		m, _ := models(in.Context())
		return ml.Predict(in, m, encode, exactly)
	})
	if err != nil {
		t.Fatal(err)
	}
	other, err := predictLengths(t, [][]int{many[:40]}, mean, 4, 8, 13)
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginetest.Run(t, [][]int{{most, 0, 40}}, 1, func(in *engine.DStream[int]) *engine.DStream[[]string] {
		m, lengths := models(in.Context())
		return ml.PredictWith(in, []*ml.ModelRef{lengths, m}, func(run *ml.Runner, n int) (all []string, err error) {
			err = run.Rows(m, n, encode, func(i int, out ml.Row) error {
				s, err := exactly(i, out)
				all = append(all, s)
				return err
			})
			for seed := range min(n, 40) {
				want := other[0][seed]
				wrong := run.RowsAt(lengths, want.Length, 1,
					func(_ int, row []float32) error { return maskedRow(seed, want.Length, row) },
					func(_ int, out ml.Row) error {
						if out.Length != want.Length || [2]float32(out.Output) != want.Scores {
							return fmt.Errorf("sequence %d: %v, want %v", seed, out.Output, want)
						}
						return nil
					})
				err = errors.Join(err, wrong)
			}
			return all, err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{most, 0, 40} {
		if !slices.Equal(got[0][i], one[0][:n]) {
			t.Errorf("%d rows: %d results that aren't those of Predict", n, len(got[0][i]))
		}
	}
	nothing := func(int, ml.Row) error { return nil }
	for says, use := range map[string]func(run *ml.Runner, m, lengths *ml.ModelRef) error{
		"use RowsAt":                               func(run *ml.Runner, _, lengths *ml.ModelRef) error { return run.Rows(lengths, 1, encode, nothing) },
		"it has no length 5, but [4 8 13]":         func(run *ml.Runner, _, lengths *ml.ModelRef) error { return run.RowsAt(lengths, 5, 1, encode, nothing) },
		"it has no length 3, but []":               func(run *ml.Runner, m, _ *ml.ModelRef) error { return run.RowsAt(m, 3, 1, encode, nothing) },
		"isn't one of those":                       func(run *ml.Runner, _, _ *ml.ModelRef) error { return run.Rows(nil, 1, encode, nothing) },
		"running model small: the function is nil": func(run *ml.Runner, m, _ *ml.ModelRef) error { return run.Rows(m, 1, nil, nothing) },
		"making an input row of model small: -1 is negative": func(run *ml.Runner, m, _ *ml.ModelRef) error {
			return run.Rows(m, 1, func(_ int, row []float32) error { return encode(-1, row) }, nothing)
		},
	} {
		_, err := enginetest.Run(t, [][]int{{1}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
			m, lengths := models(in.Context())
			return ml.PredictWith(in, []*ml.ModelRef{m, lengths}, func(run *ml.Runner, v int) (int, error) { return v, use(run, m, lengths) })
		})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	same := func(_ *ml.Runner, v int) (int, error) { return v, nil }
	for says, op := range map[string]func(in *engine.DStream[int]) *engine.DStream[int]{
		"there are no models": func(in *engine.DStream[int]) *engine.DStream[int] { return ml.PredictWith(in, nil, same) },
		"it is nil; make one": func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.PredictWith(in, []*ml.ModelRef{nil}, same)
		},
		"ml.PredictWith at ml/with_test.go:": func(in *engine.DStream[int]) *engine.DStream[int] {
			m, _ := models(in.Context())
			return ml.PredictWith[int, int](in, []*ml.ModelRef{m}, nil)
		},
	} {
		if _, err := enginetest.Run(t, [][]int{{1}}, 1, op); err == nil || errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q before the first batch", err, says)
		}
	}
}
