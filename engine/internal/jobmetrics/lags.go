package jobmetrics

import (
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
)

// lags are how many records wait in each partition of an input. The gauges are kept: to find
// one by its labels costs more than to set it, and there is one for each partition in each
// batch.
type lags struct {
	vec *prometheus.GaugeVec

	mu     sync.Mutex
	gauges map[string]map[partition]prometheus.Gauge // by input
}

type partition struct {
	topic  string
	number int32
}

func newLags(s *metrics.Set) *lags {
	return &lags{
		vec:    s.Gauge("hibana_input_partition_lag_records", "Records of a partition of an input that waited behind the newest batch.", "input", "topic", "partition"),
		gauges: make(map[string]map[partition]prometheus.Gauge),
	}
}

// set shows the lags of an input's partitions, in place of those that it had before.
func (g *lags) set(input string, all []plan.Lag) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := g.gauges[input]
	if of == nil {
		of = make(map[partition]prometheus.Gauge)
		g.gauges[input] = of
	}
	for _, l := range all {
		p := partition{l.Topic, l.Partition}
		if of[p] == nil {
			of[p] = g.vec.WithLabelValues(input, p.topic, strconv.Itoa(int(p.number)))
		}
		of[p].Set(float64(l.Records))
	}
	if len(of) == len(all) {
		return
	}
	for p := range of { // those that it doesn't read any more
		if !slices.ContainsFunc(all, func(l plan.Lag) bool { return l.Topic == p.topic && l.Partition == p.number }) {
			g.vec.DeleteLabelValues(input, p.topic, strconv.Itoa(int(p.number)))
			delete(of, p)
		}
	}
}
