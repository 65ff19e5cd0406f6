package jobmetrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
)

// A partition that an input doesn't read any more isn't shown any more; those of other
// inputs stay.
func TestLags(t *testing.T) {
	g := newLags(metrics.NewSet())
	lag := func(partition int32) plan.Lag { return plan.Lag{Topic: "in", Partition: partition, Records: 5} }
	for i, x := range []struct {
		input string
		lags  []plan.Lag
		shown int // of both inputs
	}{
		{"a", []plan.Lag{lag(0), lag(1)}, 2},
		{"b", []plan.Lag{lag(0)}, 3},
		{"a", []plan.Lag{lag(1), lag(2)}, 3},
		{"a", []plan.Lag{lag(2)}, 2},
		{"a", nil, 1},
		{"a", []plan.Lag{lag(0), lag(1)}, 3},
	} {
		g.set(x.input, x.lags)
		all := make(chan prometheus.Metric, 10)
		g.vec.Collect(all)
		if len(all) != x.shown {
			t.Errorf("step %d: %d partitions are shown, want %d", i+1, len(all), x.shown)
		}
	}
}
