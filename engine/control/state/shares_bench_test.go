package state

import (
	"fmt"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// BenchmarkShares deals out the slots of 10 executors to 1,000 jobs, anew each time: so much
// a job costs that comes or goes.
func BenchmarkShares(b *testing.B) {
	m := New()
	for n := range 10 {
		mustApply(b, m, uint64(n+1), &RegisterExecutor{ID: executorID(n), Start: "x", Slots: 16, Address: "h:1", Platform: "p"})
	}
	for i := range uint64(1000) {
		mustApply(b, m, 100*i+100, &TakeJob{Spec: wire.JobSpec{Submission: fmt.Sprint("s", i), Platform: "p"}, MaxSlots: int(i % 3)})
		for n := range 10 {
			mustApply(b, m, 100*i+101+uint64(n), &ProcessReady{Executor: executorID(n), Start: "x", Incarnation: i + 1, Process: "p", Address: "h:2", Slots: 16})
		}
	}
	for b.Loop() {
		m.state.divide()
	}
}
