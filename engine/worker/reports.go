package worker

import (
	"maps"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// jobReport is what the leader is to know of a job here. Only the newest counts,
// so that it can't grow while there is no leader. It stands until something newer
// does: each leader is told, because what was sent to the last one may be lost.
type jobReport struct {
	ready  *wire.ProcessReady  // the process that takes tasks, nil while there is none
	exited *wire.ProcessExited // the last end of one, until the next one is reported
	told   bool                // this leader was told
	spec   wire.JobSpec
	served string // where the process serves its metrics, "" for nowhere
}

// reports are what the leader is to know of all jobs here. They are safe for concurrent
// use.
type reports struct {
	mu    sync.Mutex
	byJob map[uint64]*jobReport // by incarnation
	wake  chan struct{}         // holds a token when there is something to report
}

func newReports() *reports {
	return &reports{byJob: make(map[uint64]*jobReport), wake: make(chan struct{}, 1)}
}

// begin returns a job's report, which stands until it is dropped.
func (r *reports) begin(spec wire.JobSpec) *jobReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &jobReport{spec: spec}
	r.byJob[spec.Incarnation] = report
	return report
}

// drop forgets a job's report, unless another one has taken its place.
func (r *reports) drop(incarnation uint64, report *jobReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byJob[incarnation] == report {
		delete(r.byJob, incarnation)
	}
}

// tell changes what is reported.
func (r *reports) tell(change func()) {
	r.mu.Lock()
	change()
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// ready notes that a process takes tasks.
func (r *reports) ready(report *jobReport, p *wire.ProcessReady) {
	r.tell(func() {
		if report.told { // a process in its place says enough
			report.exited = nil
		}
		report.ready, report.told = p, false
	})
}

// measures notes where a job's process serves its metrics.
func (r *reports) measures(report *jobReport, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	report.served = address
}

// jobs returns how many jobs there are.
func (r *reports) jobs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byJob)
}

// targets returns the processes of jobs that serve their metrics.
func (r *reports) targets() (all []metrics.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.byJob {
		if report.ready != nil && report.served != "" {
			all = append(all, metrics.ProcessTarget(report.served, role.Executor, report.spec))
		}
	}
	return all
}

// exited notes the end of a process.
func (r *reports) exited(report *jobReport, x *wire.ProcessExited) {
	r.tell(func() { report.ready, report.exited, report.told = nil, x, false })
}

// again makes everything that stands be reported, to a new leader.
func (r *reports) again() {
	r.tell(func() {
		for _, report := range r.byJob {
			report.told = false
		}
	})
}

// take returns what wasn't reported yet.
func (r *reports) take() []*wire.DaemonReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*wire.DaemonReport
	for _, inc := range slices.Sorted(maps.Keys(r.byJob)) {
		report := r.byJob[inc]
		if report.told {
			continue
		}
		if report.exited != nil {
			all = append(all, &wire.DaemonReport{Exited: report.exited})
		}
		if report.ready != nil {
			all = append(all, &wire.DaemonReport{Ready: report.ready})
			report.exited = nil
		}
		report.told = true
	}
	return all
}
