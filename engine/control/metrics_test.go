package control

import (
	"testing"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/metrics/metricstest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// An engine-driver's metrics say who leads, and what the cluster has.
func TestMetrics(t *testing.T) {
	s := newServersOf(t, "a")
	one := s.all[s.leading(-1)]
	for _, c := range []state.Command{
		&state.RegisterExecutor{ID: "e1", Start: "s", Address: "127.0.0.1:1", Slots: 3, Platform: "linux/amd64"},
		&state.RegisterExecutor{ID: "e2", Start: "s", Address: "127.0.0.1:2", Slots: 4, Platform: "linux/amd64"},
		&state.LoseExecutor{ID: "e2", Start: "s"},
		&state.TakeJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Platform: "none/here"}, MaxSlots: 2},
		&state.ProcessReady{Executor: "e1", Start: "s", Incarnation: 1, Process: "p", Address: "127.0.0.1:3", Slots: 3},
	} {
		if err := one.Record(c, raftgroup.Never); err != nil {
			t.Fatal(err)
		}
	}
	has := metricstest.Serve(t, one.measure())
	for range 2 { // the second scrape counts nothing twice
		has("hibana_driver_leads 1", "hibana_driver_leaderships_total 1", `hibana_jobs{state="running"} 0`,
			`hibana_executors{state="alive"} 1`, `hibana_executors{state="silent"} 1`, "hibana_slots 3", "hibana_slots_used 2")
	}
	if err := one.ready(); err != nil {
		t.Error(err)
	}
}

// A job's trouble, and where its driver process serves metrics, are told while they last.
func TestHealthForMetrics(t *testing.T) {
	var h health
	if h.troubled() || h.metrics() != "" {
		t.Error("a new job is in trouble")
	}
	h.report(wire.Progress{Metrics: "127.0.0.1:5"})
	if h.troubled() || h.metrics() != "127.0.0.1:5" {
		t.Errorf("%v, metrics at %q", h.troubled(), h.metrics())
	}
	h.report(wire.Progress{Metrics: "127.0.0.1:5", Message: "Kafka is away"})
	if !h.troubled() {
		t.Error("its trouble isn't told")
	}
	h.setStuck("no room")
	if !h.troubled() || h.metrics() != "" {
		t.Errorf("without a process: %v, metrics at %q", h.troubled(), h.metrics())
	}
}
