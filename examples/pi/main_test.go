package main

import (
	"errors"
	"math"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestPi(t *testing.T) {
	const points, seed = 100_000, 7
	got := enginetest.BatchResult(t, func(sc *rdd.Context) (float64, error) { return pi(sc, points, seed) })
	within := 0
	for i := range uint64(points) {
		if inCircle(seed, i) {
			within++
		}
	}
	if want := 4 * float64(within) / points; got != want || math.Abs(got-math.Pi) > 0.02 {
		t.Errorf("pi is roughly %v; a loop says %v", got, want)
	}
}

func TestPiOfNothing(t *testing.T) {
	err := enginetest.Batch(t, func(sc *rdd.Context) error { _, err := pi(sc, 0, 1); return err })
	if !errors.Is(err, engine.ErrUsage) {
		t.Error(err)
	}
}
