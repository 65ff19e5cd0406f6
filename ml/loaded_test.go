package ml_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/rdd"
)

// exactly shows a result with all that a Row tells.
func exactly(v int, out ml.Row) (string, error) {
	return fmt.Sprintf("%d %x %s %s %d", v, out.Output, out.Model, out.Digest[:8], out.Batch), nil
}

// A batch program computes of a row what a stream does.
func TestPredictRDD(t *testing.T) {
	file, rows := weights(t), make([]int, 700)
	for i := range rows {
		rows[i] = i
	}
	want, err := enginetest.Run(t, [][]int{rows}, 1, func(in *engine.DStream[int]) *engine.DStream[string] {
		return ml.Predict(in, ml.Model(in.Context(), "small", small, file, 3), encode, func(v int, out ml.Row) (string, error) {
			out.Batch = 0
			return exactly(v, out)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, partitions := range []int{1, 3} {
		var got []string
		err = enginetest.Batch(t, func(sc *rdd.Context) error {
			m := ml.LoadModel(sc, "small", small, file, 3)
			all, err := rdd.Collect(ml.PredictRDD(rdd.Parallelize(sc, rows, rdd.Partitions(partitions)), m, encode, exactly))
			sc.OnDriver(func() error { got = all; return nil })
			return err
		})
		if err != nil || !slices.Equal(got, want[0]) {
			t.Errorf("%d partitions: %d rows, want %d; %v", partitions, len(got), len(want[0]), err)
		}
	}
}

// step makes two steps of gradient descent in each round.
func step(net ml.Network, _ int, rows []int) error {
	return errors.Join(sgdStep(net, rows), sgdStep(net, rows))
}

// With one partition training is what it is without RDDs; partitions are averaged by
// their rows, and those without rows don't count.
func TestTrainRDD(t *testing.T) {
	file, rows := weights(t), []int{1, 2, 3, 4, 5, 6}
	alone := func(file []byte, rows ...int) []byte { // a round without RDDs
		net := small()
		if err := errors.Join(serializers.LoadNPZBytes(file, net), step(net, 0, rows)); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := serializers.WriteNPZ(&b, net); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	train := func(rows []int, partitions, rounds int) (got []byte) {
		t.Helper()
		if err := enginetest.Batch(t, func(sc *rdd.Context) error {
			trained, err := ml.TrainRDD(rdd.Parallelize(sc, rows, rdd.Partitions(partitions)), small, file, rounds, step)
			sc.OnDriver(func() error { got = trained; return nil })
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if want := alone(alone(alone(file, rows...), rows...), rows...); !bytes.Equal(train(rows, 1, 3), want) {
		t.Error("three rounds with one partition learn something else than without RDDs")
	}
	if !bytes.Equal(train(nil, 2, 1), file) {
		t.Error("no rows have taught something")
	}
	got := train([]int{1, 2, 3}, 2, 1) // 1, and 2, 3
	first, second := parameters(t, alone(file, 1)), parameters(t, alone(file, 2, 3))
	for i, v := range parameters(t, got) {
		if want := float32((float64(first[i]) + 2*float64(second[i])) / 3); abs(v-want) > 1e-7 {
			t.Fatalf("weight %d is %v, want %v of %v and %v", i, v, want, first[i], second[i])
		}
	}
	if !bytes.Equal(train([]int{1, 2, 3}, 5, 1), train([]int{1, 2, 3}, 3, 1)) {
		t.Error("empty partitions change the mean")
	}
}

func abs(v float32) float32 { return max(v, -v) }

// parameters returns a network's weights.
func parameters(t *testing.T, file []byte) (all []float32) {
	t.Helper()
	net := small()
	if err := serializers.LoadNPZBytes(file, net); err != nil {
		t.Fatal(err)
	}
	for _, p := range links.Params(net.(links.Link)) {
		all = append(all, nn.Floats(p.Data())...)
	}
	return all
}

// What is wrong is said with its place.
func TestErrorsOfLoadedModels(t *testing.T) {
	file := weights(t)
	fails := errors.New("no luck")
	for says, program := range map[string]func(sc *rdd.Context, r *rdd.RDD[int]) error{
		"ml.LoadModel m at ml/loaded_test.go:N: model can't be used: a file of 3 bytes": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD(r, ml.LoadModel(sc, "m", small, []byte("npz"), 3), encode, exactly))
			return err
		},
		"ml.LoadModel m at ml/loaded_test.go:N: model can't be used: rowShape": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD(r, ml.LoadModel(sc, "m", small, file), encode, exactly))
			return err
		},
		"ml.LoadModel m/n at ml/loaded_test.go:N: not a model's name": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD(r, ml.LoadModel(sc, "m/n", small, file, 3), encode, exactly))
			return err
		},
		"ml.LoadONNX m at ml/loaded_test.go:N: model can't be used": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD(r, ml.LoadONNX(sc, "m", []byte("x")), encode, exactly))
			return err
		},
		"ml.PredictRDD at ml/loaded_test.go:N: model can't be used: it is nil": func(_ *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD(r, nil, encode, exactly))
			return err
		},
		"ml.PredictRDD m at ml/loaded_test.go:N: the function is nil": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			_, err := rdd.Count(ml.PredictRDD[int, string](r, ml.LoadModel(sc, "m", small, file, 3), encode, nil))
			return err
		},
		"making an input row of model m: -1 is negative": func(sc *rdd.Context, r *rdd.RDD[int]) error {
			negative := rdd.Map(r.Filter(func(v int) bool { return v == 1 }), func(v int) int { return -v })
			_, err := rdd.Count(ml.PredictRDD(negative, ml.LoadModel(sc, "m", small, file, 3), encode, exactly))
			return err
		},
		"ml.TrainRDD at ml/loaded_test.go:N: 0 rounds": func(_ *rdd.Context, r *rdd.RDD[int]) error {
			_, err := ml.TrainRDD(r, small, file, 0, step)
			return err
		},
		"training: no luck": func(_ *rdd.Context, r *rdd.RDD[int]) error {
			_, err := ml.TrainRDD(r, small, file, 1, func(ml.Network, int, []int) error { return fails })
			return err
		},
		"model can't be used: a file of 1 bytes": func(_ *rdd.Context, r *rdd.RDD[int]) error {
			_, err := ml.TrainRDD(r, small, []byte("x"), 1, step)
			return err
		},
		"publishModel m at ml/loaded_test.go:N: the job has no model store": func(sc *rdd.Context, _ *rdd.RDD[int]) error {
			return ml.LoadModel(sc, "m", small, file, 3).Publish()
		},
	} {
		err := enginetest.Batch(t, func(sc *rdd.Context) error { return program(sc, rdd.Parallelize(sc, []int{1, 2})) })
		if err == nil || !strings.Contains(place.ReplaceAllString(err.Error(), "_test.go:N"), says) {
			t.Errorf("%v\nwant %s", err, says)
		}
	}
}

// place is a line in a test.
var place = regexp.MustCompile(`_test\.go:\d+`)
