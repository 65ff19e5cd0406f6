package engine

import (
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// hearing is a listener.
type hearing []string

func (h *hearing) OnBatchCompleted(BatchInfo) { *h = append(*h, "a batch is complete") }

// A program is told of events if it has listeners; one that has none costs its driver none
// of that.
func TestWhoListens(t *testing.T) {
	var heard hearing
	for n := range 3 {
		p := &plan.Program{}
		err := builder("", func(ssc *StreamingContext) error {
			for range n {
				ssc.AddListener(&heard)
			}
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { return nil })
			return nil
		})(t.Context(), p)
		if err != nil || (p.Listener != nil) != (n > 0) {
			t.Fatalf("with %d listeners it is told: %v; %v", n, p.Listener != nil, err)
		}
		if heard = nil; n > 0 {
			p.Listener(plan.BatchStarted{})
			p.Listener(plan.BatchCompleted{})
		}
		if !slices.Equal(heard, slices.Repeat([]string{"a batch is complete"}, n)) {
			t.Errorf("%d listeners heard %q", n, heard)
		}
	}
}
