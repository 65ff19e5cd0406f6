package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml/streaming"
	"github.com/hibana-engine/hibana/rdd"
)

// run returns what the program finds in each batch.
func run(t *testing.T, batches [][][]float64, start streaming.KMeansState, opt options) [][]rdd.Pair[Cell, Tally] {
	t.Helper()
	forget, err := opt.forgetting()
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginetest.Run(t, batches, len(batches), func(points *engine.DStream[[]float64]) *engine.DStream[rdd.Pair[Cell, Tally]] {
		return clusters(points, start, forget)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The centres are those that MLlib's rule gives by hand. Both begin with a weight of 1; what a
// batch teaches is used by the next one, and an empty batch is a batch.
func TestClusters(t *testing.T) {
	start := streaming.KMeansState{Centers: [][]float64{{0, 0}, {10, 0}}, Weights: []float64{1, 1}}
	batches := [][][]float64{{{2, 0}, {4, 0}, {10, 2}}, {}, {{5, 0}, {10, 4}}, {{5, 0}, {10, 4}}}
	for name, c := range map[string]struct {
		opt         options
		third, last [2]float64 // x of the first centre and y of the second, as the last two batches use them
	}{
		// (0·1 + 2 + 4) / (1 + 2), (0·1 + 2) / (1 + 1); (2·3 + 5) / (3 + 1), (1·2 + 4) / (2 + 1).
		"nothing is forgotten": {options{decay: 1, unit: "batches"}, [2]float64{2, 1}, [2]float64{2.75, 2}},
		"everything is":        {options{decay: 0, unit: "batches"}, [2]float64{3, 2}, [2]float64{5, 4}},
		// Weights of 2.5 and 1.5, which the empty batch and the third one halve:
		// (2.4·0.625 + 5) / (0.625 + 1), (4/3·0.375 + 4) / (0.375 + 1).
		"half in a batch": {options{halfLife: 1, unit: "batches"}, [2]float64{2.4, 4. / 3}, [2]float64{4, 36. / 11}},
		"decay of a half": {options{decay: 0.5, unit: "batches"}, [2]float64{2.4, 4. / 3}, [2]float64{4, 36. / 11}},
		// Three points leave an eighth: 6 / 2.125, 2 / 1.125; then two leave a quarter:
		// (6/4 + 5) / (2.125/4 + 1), (2/4 + 4) / (1.125/4 + 1).
		"half at a point": {options{halfLife: 1, unit: "points"}, [2]float64{48. / 17, 16. / 9}, [2]float64{208. / 49, 144. / 41}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, batches, start, c.opt)
			for i, want := range [][2]float64{{0, 0}, {0, 0}, c.third, c.last} {
				for _, cell := range got[i] {
					centre := [2]float64{want[0], 0}
					if cell.Key.Cluster == 1 {
						centre = [2]float64{10, want[1]}
					}
					if at := cell.Value.Centre; math.Hypot(at[0]-centre[0], at[1]-centre[1]) > 1e-12 {
						t.Errorf("batch %d: centre %d is at %v, not %v", i+1, cell.Key.Cluster, at, centre)
					}
				}
			}
			if len(got[0]) != 3 || len(got[1]) != 0 || len(got[2]) != 2 || len(got[3]) != 2 {
				t.Errorf("%v", got)
			}
		})
	}
}

// Centres that forget follow the clusters; those that don't stay behind.
func TestFollow(t *testing.T) {
	opt := options{k: 3, seed: 1, rate: 200, turn: time.Minute, unit: "batches"}
	batches := make([][][]float64, 20)
	for i := range 20 * 200 {
		_, p := opt.record(i)
		batches[i/200] = append(batches[i/200], p.([]float64))
	}
	mean := make(map[float64]float64)
	for _, opt.decay = range []float64{0.5, 1} {
		got := run(t, batches, streaming.RandomCenters(opt.k, 2, opt.seed), opt)
		var last Tally
		for _, cell := range got[len(got)-1] {
			last = last.add(cell.Value)
		}
		mean[opt.decay] = last.mean()
	}
	// The clusters go 0.84 a batch, and centres that forget half are where they were 2.5 batches
	// before.
	if mean[0.5] > 2.6 || mean[1] < 4 {
		t.Errorf("mean distances by decay: %v", mean)
	}
}

func TestPicture(t *testing.T) {
	at := func(cluster int, x, y float64, n int) rdd.Pair[Cell, Tally] {
		return rdd.KV(Cell{cluster, placeOf([]float64{x, y})}, Tally{n, 0.5 * float64(n), [2]float64{0, float64(cluster)}})
	}
	cells := []rdd.Pair[Cell, Tally]{at(0, -12, 11.5, 1), at(10, -12, 11.5, 2), at(0, 99, -99, 3), at(10, 11.9, 0.1, 1)}
	lines := strings.Split(picture(cells), "\n")
	if len(lines) != rows+1 {
		t.Fatalf("%d lines", len(lines)-1)
	}
	for i, want := range map[int]string{
		0:        "|a" + strings.Repeat(" ", columns-1) + "|", // two of a, one of 0
		11:       "|" + strings.Repeat(" ", columns/2) + "+" + strings.Repeat(" ", columns/2-2) + "a|",
		rows - 1: "|" + strings.Repeat(" ", columns-1) + "0|", // out of reach
	} {
		if lines[i] != want {
			t.Errorf("line %d is\n%s, not\n%s", i, lines[i], want)
		}
	}
	want := "cluster   points  mean distance   centre\n" +
		"      0        4           0.50     0.00   0.00\n" +
		"      a        3           0.50     0.00  10.00\n" +
		"    all        7           0.50\n"
	if got := table(cells); got != want {
		t.Errorf("got\n%s, not\n%s", got, want)
	}
}

func TestDecode(t *testing.T) {
	if p, err := decode(&kafka.Record{Value: []byte("[1, -2.5]")}); err != nil || len(p) != 2 || p[1] != -2.5 {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"", "[1]", "[1,2,3]", `{"x":1}`, "null"} {
		if p, err := decode(&kafka.Record{Value: []byte(bad)}); err == nil {
			t.Errorf("%q is %v", bad, p)
		}
	}
}

// What isn't possible is said before anything runs, and nothing else.
func TestBadFlags(t *testing.T) {
	good := options{topic: "points", k: 3, decay: 0.5, rate: 1, points: 1, unit: "batches"}
	for says, change := range map[string]func(*options){
		"--k 0 is not from 1 to 36":           func(o *options) { o.k = 0 },
		"--k 37 is not from 1 to 36":          func(o *options) { o.k = 37 },
		"--rate 0: it takes a number above 0": func(o *options) { o.rate = 0 },
		"--turn -1ns is below 0":              func(o *options) { o.turn = -1 },
		`--unit "hours" is neither`:           func(o *options) { o.unit = "hours" },
		"--half-life NaN is below 0":          func(o *options) { o.halfLife = math.NaN() },
		"--decay 2 is not from 0":             func(o *options) { o.decay = 2 },
		"--decay -0.1 is not from 0":          func(o *options) { o.decay = -0.1 },
		"with --points -1 nothing is written": func(o *options) { o.points = -1 },
	} {
		opt := good
		change(&opt)
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error { return declare(ssc, opt) })
		if b, ok := errors.AsType[*engine.BuildError](err); !ok || len(b.Errs) != 1 || !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "wrong use: "+says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
