package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// ledger is an output that commits, and notes what happened to it.
type ledger struct {
	// failWrite and failCommit say whether an attempt fails there.
	failWrite, failCommit func(tc *task.Context) bool

	mu     sync.Mutex
	events []string
	rows   []int // that were committed
}

func (l *ledger) note(what string, tc *task.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, fmt.Sprintf("%s %d#%d", what, tc.Partition, tc.Attempt))
}

func (l *ledger) Open(context.Context) error {
	l.events = append(l.events, "open")
	return nil
}

func (l *ledger) Write(_ engine.Batch, tc *task.Context, rows iter.Seq2[int, error]) (engine.Pending, error) {
	if tc.Epoch == 0 {
		return nil, errors.New("a task without an epoch")
	}
	if l.failWrite != nil && l.failWrite(tc) {
		l.note("failed", tc)
		return nil, errors.New("can't write")
	}
	p := &page{ledger: l, tc: tc}
	for v, err := range rows {
		if err != nil {
			break // the engine sees to it
		}
		p.rows = append(p.rows, v)
	}
	return p, nil
}

// page is what an attempt has written.
type page struct {
	*ledger
	tc   *task.Context
	rows []int
}

func (p *page) Commit(context.Context) error {
	if p.failCommit != nil && p.failCommit(p.tc) {
		p.note("not committed", p.tc)
		return errors.New("can't commit")
	}
	p.note("commit", p.tc)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ledger.rows = append(p.ledger.rows, p.rows...)
	return nil
}

func (p *page) Abort(context.Context) error {
	p.note("abort", p.tc)
	return nil
}

// An output is opened on the driver, written, and committed once a partition: an
// attempt that can't write or commit is followed by another, one that couldn't
// read its partition is aborted.
func TestOutput(t *testing.T) {
	first := func(tc *task.Context) bool { return tc.Attempt == 0 && tc.Partition == 1 }
	for name, c := range map[string]struct {
		ledger *ledger
		broken bool // reading partition 1 fails at first
		want   string
	}{
		"plain":  {&ledger{}, false, "commit 0#0, commit 1#0, open"},
		"write":  {&ledger{failWrite: first}, false, "commit 0#0, commit 1#1, failed 1#0, open"},
		"commit": {&ledger{failCommit: first}, false, "commit 0#0, commit 1#1, not committed 1#0, open"},
		"read":   {&ledger{}, true, "abort 1#0, commit 0#0, commit 1#1, open"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t, func(ssc *engine.StreamingContext) error {
				in := engine.TryMapPartitions(engine.QueueStream(ssc, [][]int{{1, 2, 3, 4}}, 2), func(part rdd.Part, rows iter.Seq2[int, error]) iter.Seq2[int, error] {
					tc := part.Task()
					return func(yield func(int, error) bool) {
						for v, err := range rows {
							if c.broken && first(tc) && v == 4 {
								err = errors.New("can't read")
							}
							if !yield(v, err) || err != nil {
								return
							}
						}
					}
				})
				engine.NewOutput(in, "ledger", c.ledger)
				engine.ForEachBatch(in, func(engine.Batch, []int) error { ssc.Stop(); return nil })
				return nil
			})
			events := slices.Sorted(slices.Values(c.ledger.events))
			if got := strings.Join(events, ", "); err != nil || got != c.want {
				t.Errorf("%s, want %s; %v", got, c.want, err)
			}
			if rows := slices.Sorted(slices.Values(c.ledger.rows)); !slices.Equal(rows, []int{1, 2, 3, 4}) {
				t.Errorf("%v were committed", rows)
			}
		})
	}
}

// A task that is killed while it asks, here because another output of the job fails,
// drops what it wrote, in a context that hasn't ended.
func TestOutputOfAKilledTask(t *testing.T) {
	aborted := make(chan error, 1)
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.NewOutput(engine.QueueStream(ssc, [][]int{{1}}, 1), "slow", slowOutput{aborted})
		ssc.DriverTask("bad", func(context.Context) error { time.Sleep(5 * time.Second); return errors.New("no licence") })
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "no licence") {
		t.Error(err)
	}
	if err := <-aborted; err != nil {
		t.Errorf("Abort was called in a context that has ended: %v", err)
	}
}

// slowOutput writes until its task is killed.
type slowOutput struct{ aborted chan<- error }

func (slowOutput) Open(context.Context) error { return nil }

func (s slowOutput) Write(_ engine.Batch, tc *task.Context, _ iter.Seq2[int, error]) (engine.Pending, error) {
	<-tc.Done()
	return s, nil
}

func (slowOutput) Commit(context.Context) error { return errors.New("nobody may commit") }

func (s slowOutput) Abort(ctx context.Context) error {
	s.aborted <- ctx.Err()
	return nil
}

// An output that can't be opened stops the job before it starts, with its place.
func TestOutputNotOpened(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.NewOutput(numbers(ssc), "closed", closedOutput{})
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "closed at engine/output_test.go:") || !strings.Contains(err.Error(), "no room") || errors.Is(err, engine.ErrBatchFailed) {
		t.Error(err)
	}
}

type closedOutput struct{}

func (closedOutput) Open(context.Context) error { return errors.New("no room") }

func (closedOutput) Write(engine.Batch, *task.Context, iter.Seq2[int, error]) (engine.Pending, error) {
	return nil, nil
}
