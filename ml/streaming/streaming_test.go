package streaming_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml/streaming"
)

// run runs a program in virtual time until it stops.
func run(t *testing.T, build engine.BuildFunc, args ...string) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		err = engine.NewApp("test").Run(ctx, append([]string{"--master", "local[2]", "--log-level", "error"}, args...), time.Second, build)
	})
	return err
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

// What comes out of the update rule by hand, for each way to forget. One center
// starts at 0 with weight 1, the other is far away.
func TestKMeansUpdates(t *testing.T) {
	batches := [][][]float64{{{2}, {4}, {100}}, {}, {{6}, {102}}}
	for name, c := range map[string]struct {
		opt  streaming.KMeansOption
		want []float64 // the first center in each batch, as the batches use it
	}{
		// After 2, 4: (0·1 + 3·2)/3 = 2, weight 3; then 6: (2·3 + 6)/4 = 3.
		"nothing": {streaming.DecayFactor(1, streaming.Batches), []float64{0, 2, 2, 3}},
		// (0·½ + 6)/2.5 = 2.4; the empty batch halves 2.5 to 1.25; then (2.4·0.625 + 6)/1.625.
		"half a batch": {streaming.HalfLife(1, streaming.Batches), []float64{0, 2.4, 2.4, (2.4*0.625 + 6) / 1.625}},
		// Three points: 1/8; (0/8 + 6)/2.125; no points: 1; two points: 1/4.
		"half a point": {streaming.HalfLife(1, streaming.Points), []float64{0, 6 / 2.125, 6 / 2.125, (6/2.125*2.125/4 + 6) / (2.125/4 + 1)}},
		"everything":   {streaming.DecayFactor(0, streaming.Batches), []float64{0, 3, 3, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []float64
			err := run(t, func(ssc *engine.StreamingContext) error {
				k := streaming.NewKMeans(ssc, "k", streaming.KMeansState{Centers: [][]float64{{0}, {100}}, Weights: []float64{1, 1}}, c.opt)
				in := enginetest.Queue(ssc, batches, 2)
				k.TrainOn(in)
				ssc.AddListener(completed(func(b engine.BatchInfo) {
					if b.Seq == 4 {
						ssc.Stop()
					}
				}))
				probe := enginetest.Queue(ssc, [][]int{{1}, {1}, {1}, {1}}, 1)
				first := streaming.Apply(probe, k.Model(), func(s *streaming.KMeansState, _ int) (float64, error) { return s.Centers[0][0], nil })
				engine.ForEachBatch(first, func(b engine.Batch, x []float64) error {
					if b.Seq <= 4 {
						got = append(got, x...)
					}
					return nil
				})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.want {
				if i >= len(got) || !near(got[i], c.want[i]) {
					t.Fatalf("the center was %v, want %v", got, c.want)
				}
			}
		})
	}
}

type completed func(engine.BatchInfo)

func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// A dying center is put beside the heaviest.
func TestKMeansSplits(t *testing.T) {
	var got [][]float64
	err := run(t, func(ssc *engine.StreamingContext) error {
		start := streaming.KMeansState{Centers: [][]float64{{0}, {1e6}}, Weights: []float64{1, 0}}
		k := streaming.NewKMeans(ssc, "k", start)
		in := enginetest.Queue(ssc, [][][]float64{{{1}, {2}, {3}}, {{9}}}, 2)
		k.TrainOn(in)
		seen := streaming.Apply(in, k.Model(), func(s *streaming.KMeansState, _ []float64) ([]float64, error) {
			return []float64{s.Centers[0][0], s.Centers[1][0], s.Weights[0], s.Weights[1]}, nil
		})
		engine.ForEachBatch(seen, func(b engine.Batch, rows [][]float64) error {
			if got = append(got, rows[0]); b.Seq == 2 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// (0·1 + 6)/4 = 1.5, weight 4, cut in two.
	if s := got[1]; !near(s[0], 1.5) || !near(s[1], 1.5) || s[0] <= s[1] || s[2] != 2 || s[3] != 2 {
		t.Errorf("after the split: %v", s)
	}
}

// reference is gradient descent over all points as the papers write it, without
// looking whether it has converged.
func reference(w []float64, points []streaming.LabeledPoint, sgd streaming.SGD, logistic bool) []float64 {
	w = append([]float64(nil), w...)
	for i := 1; i <= sgd.NumIterations; i++ {
		g := make([]float64, len(w))
		for _, p := range points {
			m := 0.0
			for j := range w {
				m += w[j] * p.Features[j]
			}
			if logistic {
				m = math.Exp(m) / (1 + math.Exp(m))
			}
			for j := range w {
				g[j] += (m - p.Label) * p.Features[j] / float64(len(points))
			}
		}
		for j := range w {
			w[j] -= sgd.StepSize / math.Sqrt(float64(i)) * (g[j] + sgd.RegParam*w[j])
		}
	}
	return w
}

// points draws labelled points of a plane through w.
func points(rng *rand.Rand, n int, w []float64, logistic bool) []streaming.LabeledPoint {
	out := make([]streaming.LabeledPoint, n)
	for i := range out {
		p := streaming.LabeledPoint{Features: make([]float64, len(w))}
		for j := range p.Features {
			p.Features[j] = rng.NormFloat64()
			p.Label += w[j] * p.Features[j]
		}
		if logistic {
			p.Label = math.Round(1 / (1 + math.Exp(-p.Label)))
		}
		out[i] = p
	}
	return out
}

// A regression over three batches, one of them empty, ends where the reference
// does, also if the program dies after it has learned a batch and before the
// batch is complete; and near the truth.
func TestRegressions(t *testing.T) {
	truth := []float64{1.5, -2, 0.5}
	for _, logistic := range []bool{false, true} {
		t.Run(fmt.Sprintf("logistic %v", logistic), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 20261123))
			sgd := streaming.SGD{StepSize: 0.5, NumIterations: 200}
			if logistic {
				sgd.RegParam = 0.01
			}
			batches := [][]streaming.LabeledPoint{points(rng, 60, truth, logistic), nil, points(rng, 41, truth, logistic), {}}
			want := make([]float64, len(truth))
			for _, b := range batches {
				if len(b) > 0 {
					want = reference(want, b, sgd, logistic)
				}
			}
			broken := errors.New("the screen is gone")
			var got []float64
			build := func(fail bool) engine.BuildFunc {
				return func(ssc *engine.StreamingContext) error {
					declare := streaming.NewLinearRegression
					if logistic {
						declare = streaming.NewLogisticRegression
					}
					r := declare(ssc, "r", make([]float64, len(truth)), sgd)
					in := enginetest.Queue(ssc, batches, 2)
					r.TrainOn(in)
					probe := enginetest.Queue(ssc, [][]int{{1}, {1}, {1}, {1}, {1}, {1}}, 1)
					weights := streaming.Apply(probe, r.Model(), func(s *streaming.RegressionState, _ int) ([]float64, error) { return s.Weights, nil })
					engine.ForEachBatch(weights, func(b engine.Batch, w [][]float64) error {
						if fail && b.Seq == 1 {
							return broken
						}
						if b.Seq == 4 {
							got = w[0]
							ssc.Stop()
						}
						return nil
					})
					return nil
				}
			}
			dir := t.TempDir()
			if err := run(t, build(true), "--checkpoint", dir); !errors.Is(err, broken) {
				t.Fatal(err)
			}
			if err := run(t, build(false), "--checkpoint", dir); err != nil {
				t.Fatal(err)
			}
			for j := range want {
				if !near(got[j], want[j]) {
					t.Fatalf("weights %v, the reference has %v", got, want)
				}
				if !logistic && math.Abs(got[j]-truth[j]) > 0.05 {
					t.Errorf("weights %v, the truth is %v", got, truth)
				}
			}
		})
	}
}

func TestStreamingErrors(t *testing.T) {
	for name, c := range map[string]struct {
		build func(ssc *engine.StreamingContext)
		want  error
		says  string
	}{
		"no centers": {func(ssc *engine.StreamingContext) { streaming.NewKMeans(ssc, "k", streaming.KMeansState{}) }, streaming.ErrState, "0 centers"},
		"no weights": {func(ssc *engine.StreamingContext) {
			streaming.NewKMeans(ssc, "k", streaming.KMeansState{Centers: [][]float64{{1}, {2}}})
		}, streaming.ErrState, "2 centers and 0 weights: give one weight for each center"},
		"ragged centers": {func(ssc *engine.StreamingContext) {
			streaming.NewKMeans(ssc, "k", streaming.KMeansState{Centers: [][]float64{{1}, {1, 2}}, Weights: []float64{0, 0}})
		}, streaming.ErrState, "center 1 has 2"},
		"decay": {func(ssc *engine.StreamingContext) {
			streaming.NewKMeans(ssc, "k", streaming.RandomCenters(2, 2, 1), streaming.DecayFactor(2, streaming.Batches))
		}, engine.ErrBuild, "from 0 to 1"},
		"NaN weight": {func(ssc *engine.StreamingContext) {
			streaming.NewLinearRegression(ssc, "r", []float64{0, math.NaN()}, streaming.DefaultSGD())
		}, streaming.ErrState, "NaN at element 1"},
		"no iterations": {func(ssc *engine.StreamingContext) {
			streaming.NewLogisticRegression(ssc, "r", []float64{0}, streaming.SGD{})
		}, engine.ErrBuild, "DefaultSGD"},
		"wrong dimension": {func(ssc *engine.StreamingContext) {
			streaming.NewKMeans(ssc, "k", streaming.RandomCenters(2, 3, 1)).TrainOn(enginetest.Queue(ssc, [][][]float64{{{1, 2}}}, 1))
		}, engine.ErrBatchFailed, "it has 2 elements, the model 3"},
		"diverges": {func(ssc *engine.StreamingContext) {
			streaming.NewLinearRegression(ssc, "r", []float64{1}, streaming.SGD{StepSize: 1e300, NumIterations: 9}).TrainOn(
				enginetest.Queue(ssc, [][]streaming.LabeledPoint{{{Label: 1, Features: []float64{1e9}}}}, 1))
		}, engine.ErrBatchFailed, "lower StepSize"},
	} {
		err := run(t, func(ssc *engine.StreamingContext) error {
			c.build(ssc)
			engine.ForEachBatch(enginetest.Queue(ssc, [][]int{{1}}, 1), func(engine.Batch, []int) error { return nil })
			return nil
		})
		if !errors.Is(err, c.want) && c.want != engine.ErrBatchFailed || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
