package replay

import (
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// turn makes a copy of the program take one step after the other, and keeps its
// lineage as it is meanwhile. The zero value is ready to use.
type turn struct {
	mu   sync.Mutex
	busy string // what the copy is at, "" between steps
	over bool   // the program has ended
}

// begin begins a step. It is an error if the copy is at another one: whoever asks is a
// task then, or a goroutine of the program's own.
func (t *turn) begin(l *lineage.Lineage, op string, site lineage.Site) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	what := fmt.Sprintf("%s at %s", op, site)
	if t.over {
		return fmt.Errorf("%s: %w: the program that its RDD belongs to has ended", what, rdd.ErrNoActions)
	}
	if t.busy != "" {
		return &nestedError{what, t.busy}
	}
	t.busy = what
	l.Freeze(fmt.Sprintf(busyReason, what))
	return nil
}

// busyReason is what a transformation is told that comes while the copy is at a step.
const busyReason = "the program is at %s: a batch program makes its RDDs itself, between its actions, not in functions that run on executors or in goroutines of its own"

// end ends it.
func (t *turn) end(l *lineage.Lineage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = ""
	l.Thaw()
}

// finish refuses further steps.
func (t *turn) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// nestedError says that an action was called in the middle of another one.
type nestedError struct{ what, within string }

func (e *nestedError) Error() string {
	return fmt.Sprintf("%s: the program is at %s; actions, rdd.Value and OnDriver can't be called by functions that run on executors, nor in goroutines beside the program", e.what, e.within)
}

// Unwrap returns [rdd.ErrNoActions]: another attempt of the task would do the same.
func (e *nestedError) Unwrap() error { return rdd.ErrNoActions }
