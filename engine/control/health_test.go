package control

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// What is wrong with a job is in its status while it lasts, in words; what went wrong, for
// a minute.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		status := func(state wire.JobState) *wire.JobStatus {
			st := &wire.JobStatus{State: state, Trouble: "it waits for an engine-executor"}
			h.fill(st, func(executor string) bool { return executor == "e3" })
			return st
		}
		for _, x := range []struct {
			does              string
			do                func()
			trouble, on       string
			reason, reasonsOn string
		}{
			{"nothing", func() {}, "it waits for an engine-executor", "", "", ""},
			{"no room", func() { h.setStuck("its disk is full") }, "it waits for an engine-executor; its disk is full", "", "", ""},
			{"it starts", func() { h.setStuck("") }, "it waits for an engine-executor", "", "", ""},
			{"Kafka is away", func() { h.report(wire.Progress{Message: "no broker answers"}) }, "it waits for an engine-executor; no broker answers", "", "", ""},
			{"tasks die", func() { h.report(wire.Progress{Message: "a task failed", Executor: "e1"}) }, "it waits for an engine-executor; a task failed", "e1", "", ""},
			{"a process dies", func() { h.setTroubleOn("e2", "exit status 3") }, "it waits for an engine-executor; a task failed", "e1", "exit status 3", "e2"},
			{"an executor is drained", func() { h.report(wire.Progress{Message: "the process on e3 was lost", Executor: "e3"}) }, "it waits for an engine-executor; executor e3 was drained: the process on e3 was lost", "e3", "exit status 3", "e2"},
			{"tasks go on", func() { h.report(wire.Progress{Batches: 3}) }, "it waits for an engine-executor", "", "exit status 3", "e2"},
			{"a minute passes", func() { time.Sleep(troubleLife + 1) }, "it waits for an engine-executor", "", "", ""},
			{"the driver says something", func() { h.report(wire.Progress{Message: "no broker answers", Batches: 3}) }, "it waits for an engine-executor; no broker answers", "", "", ""},
			{"and dies", func() { h.setStuck(""); h.setTrouble("exit status 2") }, "it waits for an engine-executor", "", "exit status 2", ""},
		} {
			x.do()
			st := status(wire.JobRunning)
			if st.Trouble != x.trouble || st.TroubleOn != x.on || st.Reason != x.reason || st.ReasonOn != x.reasonsOn {
				t.Errorf("%s: trouble %q on %q, before that %q on %q", x.does, st.Trouble, st.TroubleOn, st.Reason, st.ReasonOn)
			}
		}
	})
}
