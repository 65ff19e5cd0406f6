package remote

import (
	"fmt"
	"slices"
	"testing"
)

// heard is a listener that writes down what it is told.
type heard struct {
	lines       []string
	invocations *recordReader
}

func (h *heard) say(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

func (h *heard) open(hold *Hold, f Forget, invocations *recordReader, n int) {
	if hold != nil {
		h.hold(hold)
	}
	h.forget(f)
	h.invocations = invocations
	for range n {
		h.invoke()
	}
}

func (h *heard) invoke() {
	i, err := h.invocations.next()
	if err != nil || i == nil {
		h.say("nothing: %v", err)
		return
	}
	h.say("batch %d", i.Seq)
}

func (h *heard) hold(hold *Hold)                  { h.say("hold %d", len(hold.Versions)) }
func (h *heard) forgetShuffles(f *ForgetShuffles) { h.say("shuffles") }
func (h *heard) forget(f Forget)                  { h.say("complete until %d, keep %d", f.Until, f.Keep) }

// Who joins late is told that batches are complete before it is told of those of them
// that others reach back to, and of the ones in flight.
func TestBriefing(t *testing.T) {
	b := newBriefing(newRecord(t.TempDir(), maxRecordMemory))
	early, late := &heard{}, &heard{}
	b.join(early)
	for seq := uint64(1); seq <= 6; seq++ {
		b.invoke(&Invoke{Seq: seq})
		if seq >= 3 {
			b.forget(Forget{Until: seq - 1, Keep: max(5, seq) - 4})
		}
	}
	b.join(late)
	b.leave(early)
	b.invoke(&Invoke{Seq: 7})
	b.forget(Forget{Until: 8, Keep: 8})
	last := &heard{}
	b.join(last)
	for i, c := range []struct{ got, want []string }{
		{early.lines, []string{
			"complete until 0, keep 0", "batch 1", "batch 2", "batch 3", "complete until 2, keep 1", "batch 4", "complete until 3, keep 1",
			"batch 5", "complete until 4, keep 1", "batch 6", "complete until 5, keep 2",
		}},
		{late.lines, []string{"complete until 5, keep 2", "batch 2", "batch 3", "batch 4", "batch 5", "batch 6", "batch 7", "complete until 8, keep 8"}},
		{last.lines, []string{"complete until 8, keep 8"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("listener %d:\n got %q\nwant %q", i, c.got, c.want)
		}
	}
}
