package main

import (
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
