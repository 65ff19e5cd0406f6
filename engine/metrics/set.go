package metrics

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Set is the metrics of a process. It is safe for concurrent use: more may be declared
// while it is served.
type Set struct {
	registry *prometheus.Registry

	mu       sync.Mutex // held during a scrape
	declared []Declared
	looks    []func()
}

// Declared is what is said of a metric.
type Declared struct {
	Name   string
	Type   string // counter, gauge or histogram
	Help   string
	Labels []string
}

// NewSet returns a set with the metrics that every process has: those of Go's runtime
// (go_…) and of the process (process_…).
func NewSet() *Set {
	s := &Set{registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Declared returns what was declared, by name.
func (s *Set) Declared() []Declared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(slices.Values(s.declared), func(a, b Declared) int { return strings.Compare(a.Name, b.Name) })
}

// Look makes every scrape call f first, which may set gauges. Calls come one at a time.
func (s *Set) Look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks = append(s.looks, f)
}

// Gather scrapes the metrics. It implements prometheus.Gatherer.
func (s *Set) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.looks {
		f()
	}
	return s.registry.Gather()
}

// Counter declares a counter with the given labels. A name or label that Prometheus
// doesn't take, or that was declared before, is a mistake in the engine: it panics.
func (s *Set) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s.declare(c, Declared{name, "counter", help, labels})
	return c
}

// Gauge declares a gauge, as Counter does a counter.
func (s *Set) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	s.declare(g, Declared{name, "gauge", help, labels})
	return g
}

// Seconds declares a histogram of durations from a millisecond to minutes, as Counter
// does a counter.
func (s *Set) Seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds()}, labels)
	s.declare(h, Declared{name, "histogram", help, labels})
	return h
}

// seconds are the upper bounds of a histogram's buckets.
func seconds() []float64 {
	return []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300}
}

func (s *Set) declare(c prometheus.Collector, d Declared) {
	s.registry.MustRegister(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared = append(s.declared, d)
}
