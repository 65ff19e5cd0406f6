package remote

import (
	"testing"

	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Neither end keeps where the outputs of shuffles are that are gone; those of others stay.
func TestForgetsShuffles(t *testing.T) {
	o := newOutbox()
	o.open(nil)
	x := &driverStream{server: &Server{}, session: newSession(), outputs: make(map[uint32]*shuffle.Outputs)}
	b := newBriefing(newRecord(t.TempDir(), maxRecordMemory))
	b.listeners[&link{out: o}] = struct{}{}
	backend := &Backend{common: common{briefing: b}}
	for step := range 1000 {
		task := taskOf(1, 0, 0)
		for s := range int32(3) {
			task.Inputs = append(task.Inputs, &shuffle.Outputs{Batch: uint64(s) % 2, Shuffle: int32(step)})
		}
		o.launch(task)
		backend.ForgetShuffles(0, []int{step, 7})
		for _, m := range o.messages {
			if m.Launch == nil {
				if err := x.take(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
		}
		o.messages = nil
		if want := step + 1; len(o.sent) != want || len(x.outputs) != want {
			t.Fatalf("step %d: the driver knows %d outputs, the executor %d", step, len(o.sent), len(x.outputs))
		}
	}
	if backend.Forget(2, 2); len(o.sent) != 0 {
		t.Errorf("%d outputs of batches that are forgotten", len(o.sent))
	}
}
