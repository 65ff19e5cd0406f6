package control

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// errNoLeader: the cluster can do nothing.
var errNoLeader = errors.New("there is no leader: a majority of the engine-drivers must run and reach each other")

// measure returns the server of the node's metrics.
func (s *server) measure() *metrics.Server {
	set := metrics.NewSet()
	newGauges(set).look(set, s)
	return &metrics.Server{Set: set, Ready: s.ready, Targets: s.lead.targets, Log: s.log}
}

// ready says whether the cluster can take a job.
func (s *server) ready() error {
	if s.Leader() == "" {
		return errNoLeader
	}
	return nil
}

// gauges are the metrics of an engine-driver.
type gauges struct {
	leads     *prometheus.GaugeVec
	term      *prometheus.GaugeVec
	began     *prometheus.CounterVec
	jobs      *prometheus.GaugeVec
	trouble   *prometheus.GaugeVec
	executors *prometheus.GaugeVec
	slots     *prometheus.GaugeVec
	used      *prometheus.GaugeVec
}

func newGauges(s *metrics.Set) *gauges {
	return &gauges{
		leads:     s.Gauge("hibana_driver_leads", "1 while this engine-driver leads its cluster."),
		term:      s.Gauge("hibana_driver_raft_term", "Raft's term: it grows with every election."),
		began:     s.Counter("hibana_driver_leaderships_total", "How often this engine-driver became the leader since it was started."),
		jobs:      s.Gauge("hibana_jobs", "Jobs that the cluster knows, by state.", "state"),
		trouble:   s.Gauge("hibana_job_trouble", "1 for each job that runs and has a trouble, which engine-submit status tells; the leader says it.", "job", "name"),
		executors: s.Gauge("hibana_executors", "engine-executors that the cluster knows: alive ones, drained ones, and those that were not heard of for long (silent).", "state"),
		slots:     s.Gauge("hibana_slots", "Slots of the engine-executors that are alive and take jobs."),
		used:      s.Gauge("hibana_slots_used", "Slots that jobs have of these. Each has one at least where it has a process, so that they may be more than there are."),
	}
}

// Metrics lists the metrics of an engine-driver, beside those of every process.
func Metrics() []metrics.Declared {
	s := metrics.NewSet()
	newGauges(s)
	return s.Declared()
}

// look sets the gauges at every scrape.
func (g *gauges) look(set *metrics.Set, s *server) {
	began := g.began.WithLabelValues() // it is there, with 0, before the first
	var counted int64
	set.Look(func() {
		now := s.lead.begun.Load()
		began.Add(float64(now - counted))
		counted = now
		g.leads.WithLabelValues().Set(number(s.IsLeader()))
		g.term.WithLabelValues().Set(float64(s.Term()))
		s.View(g.state)
		g.trouble.Reset()
		for _, j := range s.lead.troubled() {
			g.trouble.WithLabelValues(strconv.FormatUint(j.Incarnation, 10), j.Name).Set(1)
		}
	})
}

// state sets what is said of the cluster's state.
func (g *gauges) state(st *state.State) {
	jobs := make(map[wire.JobState]int)
	for _, j := range st.Jobs {
		jobs[j.State]++
	}
	for s := wire.JobSubmitted; s <= wire.JobKilled; s++ {
		g.jobs.WithLabelValues(s.String()).Set(float64(jobs[s]))
	}
	executors := make(map[string]int)
	slots, used := 0, 0
	for _, e := range st.ListExecutors() {
		switch {
		case !e.Alive:
			executors["silent"]++
		case e.Drained:
			executors["drained"]++
		default:
			executors["alive"]++
			slots += e.Slots
			used += e.Used
		}
	}
	for _, s := range []string{"alive", "drained", "silent"} {
		g.executors.WithLabelValues(s).Set(float64(executors[s]))
	}
	g.slots.WithLabelValues().Set(float64(slots))
	g.used.WithLabelValues().Set(float64(used))
}

// number returns 1 for true.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// running returns the runners of jobs on the node if it leads.
func (l *lead) running() []*driverRunner {
	r, err := l.current()
	if err != nil {
		return nil
	}
	return r.runners.all()
}

// troubled returns the jobs that have a trouble, as far as this node knows.
func (l *lead) troubled() []wire.JobSpec {
	var all []wire.JobSpec
	for _, d := range l.running() {
		if j := d.live(); j != nil && d.health.troubled() {
			all = append(all, j.Spec)
		}
	}
	return all
}

// targets returns the driver processes of jobs on this node that serve their metrics.
func (l *lead) targets() []metrics.Target {
	var all []metrics.Target
	for _, d := range l.running() {
		if j, at := d.live(), d.health.metrics(); j != nil && at != "" {
			all = append(all, metrics.ProcessTarget(at, role.Driver, j.Spec))
		}
	}
	return all
}
