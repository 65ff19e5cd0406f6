package main

import (
	"math"
	"testing"

	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// Descending on the engine leads to the weights of a loop, which part the points.
func TestLogisticRegression(t *testing.T) {
	opt := options{points: 1000, rounds: 5, seed: 4}
	got := enginetest.BatchResult(t, func(sc *rdd.Context) (Vector, error) {
		return descend(sc, rdd.Map(rdd.Range(sc, 0, opt.points, 1), opt.point).Cache(), opt)
	})
	want := opt.first()
	for range opt.rounds {
		var sum Vector
		for i := range opt.points {
			p := opt.point(i)
			scale := (1/(1+math.Exp(-p.Kind*want.dot(p.X))) - 1) * p.Kind
			for d := range sum {
				sum[d] += scale * p.X[d]
			}
		}
		for d := range want {
			want[d] -= sum[d]
		}
	}
	for d := range want {
		if math.Abs(got[d]-want[d]) > 1e-9*math.Abs(want[d]) {
			t.Errorf("weight %d is %v, a loop says %v", d, got[d], want[d])
		}
	}
	right := 0
	for i := range opt.points {
		if got.fit(opt.point(i)) {
			right++
		}
	}
	if right < 950 {
		t.Errorf("%d of %d points are on their side", right, opt.points)
	}
}
