package main

import (
	"errors"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestKMeans(t *testing.T) {
	opt := options{points: 2000, k: 4, rounds: 50, converge: 1e-9, seed: 3}
	got := enginetest.BatchResult(t, func(sc *rdd.Context) ([]Point, error) { return kmeans(sc, opt) })
	if len(got) != opt.k {
		t.Fatalf("%d centres: %v", len(got), got)
	}
	// The centres are those that a loop over the points leads to from the same first ones.
	want := loop(opt, first(t, opt))
	for i := range want {
		if got[i].distance(want[i]) > 1e-9 {
			t.Errorf("centre %d is %v, a loop says %v", i, got[i], want[i])
		}
	}
}

// first returns the centres to begin with.
func first(t *testing.T, opt options) (centres []Point) {
	t.Helper()
	opt.rounds = 0
	err := enginetest.Batch(t, func(sc *rdd.Context) error {
		c, err := kmeans(sc, opt)
		sc.OnDriver(func() error { centres = c; return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return centres
}

// loop is kmeans without the engine.
func loop(opt options, centres []Point) []Point {
	for range opt.rounds {
		sums := make([]Sum, len(centres))
		for i := range opt.points {
			p, best := opt.point(i), 0
			for c := range centres {
				if p.distance(centres[c]) < p.distance(centres[best]) {
					best = c
				}
			}
			sums[best].N++
			sums[best].Of.X += p.X
			sums[best].Of.Y += p.Y
		}
		for i, s := range sums {
			if s.N > 0 {
				centres[i] = Point{s.Of.X / float64(s.N), s.Of.Y / float64(s.N)}
			}
		}
	}
	return centres
}

// A centre that no point is near to stays where it is.
func TestLonelyCentre(t *testing.T) {
	centres := []Point{{1, 1}, {3, 5}}
	r := move(centres, map[int]Sum{0: {2, Point{8, 2}}})
	if r.Centres[0] != (Point{4, 1}) || r.Centres[1] != centres[1] || r.Moved != 3 {
		t.Errorf("%+v", r)
	}
}

func TestBadFlags(t *testing.T) {
	for _, opt := range []options{{points: 10}, {points: 10, k: -1}, {points: 2, k: 3}, {points: 2, k: 1, rounds: -1}} {
		err := enginetest.Batch(t, func(sc *rdd.Context) error { _, err := kmeans(sc, opt); return err })
		if !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}
