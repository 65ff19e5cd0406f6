package receivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
)

// onExecutor is a receiver that runs as an executor runs it, and what it tells a planner.
type onExecutor struct {
	*sharedPlanner
	end func() // ends it and waits
}

// receivingShared has a function receive for a planner of a directory.
func receivingShared(t *testing.T, dir string, receive Receiver) onExecutor {
	t.Helper()
	s := sharedSource(t, dir, receive)
	p, err := openShared(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return onExecutor{p, begin(t, s, p)}
}

// begin begins another start of a receiver for a planner.
func begin(t *testing.T, s source, p *sharedPlanner) (end func()) {
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { receiveShared(ctx, s, teller{p.Told}) })
	return func() {
		stop()
		work.Wait()
	}
}

// held returns what the planner says that holds the stream up.
func (x onExecutor) held(t *testing.T) string {
	t.Helper()
	plan, err := x.Plan(t.Context(), engine.PlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Held
}

func (x onExecutor) close(t *testing.T) {
	t.Helper()
	x.end()
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

// The planner hears what holds a receiver up, that nobody receives, and that somebody does again.
func TestHeldOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		x := receivingShared(t, t.TempDir(), func(ctx context.Context, _ Store) error {
			if calls.Add(1) > 2 {
				<-ctx.Done()
				return ctx.Err()
			}
			return errors.New("it broke")
		})
		for i, want := range []string{"it broke; it is tried again after 100ms", "it broke; it is tried again after 200ms"} {
			synctest.Wait()
			if held := x.held(t); !strings.Contains(held, want) {
				t.Errorf("%d: held up by %q, want %q", i, held, want)
			}
			time.Sleep([]time.Duration{100, 200}[i] * time.Millisecond)
		}
		x.Lost("executor e1 is lost")
		if held := x.held(t); held != "nothing is received: executor e1 is lost" {
			t.Errorf("held up by %q", held)
		}
		again := begin(t, x.source, x.sharedPlanner)
		synctest.Wait()
		if held := x.held(t); held != "" {
			t.Errorf("held up by %q", held)
		}
		again()
		x.close(t)
	})
}

// A receiver that finds its log full waits until the driver has removed what was processed, and
// the stream says so. What others have left counts.
func TestFullOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		before := newDriver(t, dir)
		for range 5 {
			before.store(strings.Repeat("x", 100_000))
		}
		before.close()
		var stored atomic.Int32
		x := receivingShared(t, dir, func(ctx context.Context, store Store) error {
			for {
				if err := store(ctx, make([]byte, 100_000)); err != nil {
					return err
				}
				stored.Add(1)
			}
		})
		time.Sleep(time.Second)
		plan, err := x.Plan(t.Context(), engine.PlanRequest{})
		if err != nil || stored.Load() != 5 || plan.Records != 10 || !strings.Contains(plan.Held, "receivers.MaxBytes(1048576)") {
			t.Fatalf("%d are stored, a batch has %d records, held up by %q; %v", stored.Load(), plan.Records, plan.Held, err)
		}
		if err := x.Completed(t.Context(), plan.Ranges); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the next one notes that it's recorded
			if plan, err = x.Plan(t.Context(), engine.PlanRequest{Previous: plan.Ranges}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * roomEvery)
		synctest.Wait()
		if n := stored.Load(); n != 15 {
			t.Errorf("%d are stored", n)
		}
		if plan, err = x.Plan(t.Context(), engine.PlanRequest{Previous: plan.Ranges}); err != nil || plan.Records != 10 {
			t.Errorf("a batch has %d records; %v", plan.Records, err)
		}
		x.close(t)
	})
}

// Where the directory isn't, e.g. since it isn't mounted on that machine, nothing is stored where
// nobody sees it.
func TestDirectoryNotOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "received")
		var called atomic.Int32
		receive := func(ctx context.Context, store Store) error {
			called.Add(1)
			return store(ctx, []byte("a"))
		}
		s := sharedSource(t, dir, receive)
		told := make(chan string, 10)
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			receiveShared(ctx, s, teller{func(b []byte) {
				m, err := decodeMessage(b)
				if err != nil {
					t.Error(err)
				}
				if m.Log != "" {
					m.Held = fmt.Sprintf("%d records", m.file().Records)
				}
				told <- m.Held
			}})
		})
		if held := <-told; called.Load() > 0 || !strings.Contains(held, dir+" isn't there") || !strings.Contains(held, "tried again after 100ms") {
			t.Errorf("called %d times, told %q", called.Load(), held)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		work.Wait() // it returns when nothing more comes
		stop()
		close(told)
		var all []string
		for m := range told {
			all = append(all, m)
		}
		if called.Load() != 1 || !slices.Equal(all, []string{"0 records", "1 records"}) {
			t.Errorf("called %d times, told %q", called.Load(), all)
		}
	})
}

// The end waits for a receiver, but not without end: what it stores then is an error.
func TestEndOfOneThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn, stored := make(chan struct{}), make(chan error, 1)
		x := receivingShared(t, t.TempDir(), goingOn(goOn, stored))
		synctest.Wait()
		began := time.Now()
		x.close(t)
		if took := time.Since(began); took != sharedPatience {
			t.Errorf("it took %s", took)
		}
		close(goOn)
		if err := <-stored; !errors.Is(err, segments.ErrClosed) {
			t.Errorf("stored after the end: %v", err)
		}
	})
}
