package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// A sensor is known after 30 readings, over several batches; what is far off is told once
// and changes nothing.
func TestAnomalies(t *testing.T) {
	steady := make([]Reading, 40)
	for i := range steady {
		steady[i] = Reading{"a", float64(i % 2)}
	}
	input := [][]Reading{steady[:20], {{"a", 50}}, steady[20:], {{"a", 50}, {"b", 50}, {"a", 1}}, {{"a", 50}}}
	op := func(in *engine.DStream[Reading]) *engine.DStream[string] {
		return engine.Map(anomalies(in, 7), func(a Anomaly) string { return a.Sensor })
	}
	// The first 50 comes before the sensor is known: it counts, and the next ones are
	// within what is usual.
	enginetest.Operation(t, input, op, [][]string{{}, {}, {}, {}, {}})
	enginetest.Operation(t, [][]Reading{steady, {{"a", 50}, {"b", 50}, {"a", 1}}, {{"a", 50}}}, op, [][]string{{}, {"a"}, {"a"}})
}

func TestMoments(t *testing.T) {
	var m Moments
	for _, v := range []float64{2, 4, 4, 4, 5, 5, 7, 9} {
		m = m.add(v)
	}
	if m.Mean != 5 || m.N != 8 || m.Squares != 32 {
		t.Errorf("%+v", m)
	}
}

// What isn't possible is said before anything runs.
func TestBadFlags(t *testing.T) {
	good := options{sigmas: 6, sensors: 20}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*options){
		"--sigmas 0 is not above 0":   func(o *options) { o.sigmas = 0 },
		"--sigmas NaN is not above 0": func(o *options) { o.sigmas = math.NaN() },
		"--sensors 0 is below 1":      func(o *options) { o.sensors = 0 },
	} {
		opt := good
		change(&opt)
		if err := opt.check(); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
