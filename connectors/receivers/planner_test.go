package receivers

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
)

// receiving returns a planner of what a function receives.
func receiving(t *testing.T, receive Receiver) *planner {
	t.Helper()
	p, err := openPlanner(t.Context(), source{
		op: "test", options: options{maxBytes: leastBytes}, receive: receive, parallelism: 1, logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// heldBy returns what a plan says that holds the stream up.
func heldBy(t *testing.T, p *planner) string {
	t.Helper()
	plan, err := p.Plan(t.Context(), engine.PlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Held
}

// Close waits for a receiver, but not without end: what it stores then is an error.
func TestCloseOfOneThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn, stored := make(chan struct{}), make(chan error, 1)
		p := receiving(t, goingOn(goOn, stored))
		began := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != closePatience {
			t.Errorf("it took %s", took)
		}
		close(goOn)
		if err := <-stored; !errors.Is(err, segments.ErrClosed) {
			t.Errorf("stored after the end: %v", err)
		}
		<-p.caller.ended
	})
}

// goingOn returns a receiver that doesn't end with its context, and stores something then.
func goingOn(goOn <-chan struct{}, stored chan<- error) Receiver {
	return func(_ context.Context, store Store) error {
		<-goOn
		stored <- store(context.Background(), []byte("late"))
		return nil
	}
}

// Store on a log that is full ends with the receiver's context, whichever it is given; the stream
// says that it is full.
func TestStoreWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stored error
		p := receiving(t, func(ctx context.Context, store Store) error {
			own := context.WithoutCancel(ctx)
			for stored == nil {
				stored = store(own, make([]byte, 60_000))
			}
			return stored
		})
		synctest.Wait()
		if held := heldBy(t, p); !strings.Contains(held, "receivers.MaxBytes(1048576)") {
			t.Errorf("held up by %q", held)
		}
		began := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 || !errors.Is(stored, context.Canceled) {
			t.Errorf("it ended after %s with %v", took, stored)
		}
	})
}

// A stream isn't held up any more when its receiver says that it has connected, or that nothing
// more comes.
func TestNoLongerHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := receiving(t, func(ctx context.Context, store Store) error {
			if calls++; calls == 4 {
				return nil
			}
			if calls == 2 {
				if err := store(ctx); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
			return errors.New("it broke")
		})
		for i, want := range []string{"tried again after 100ms", "", "tried again after 200ms", "tried again after 400ms", ""} {
			synctest.Wait()
			if held := heldBy(t, p); want == "" && held != "" || !strings.Contains(held, want) {
				t.Errorf("%d: held up by %q, want %q", i, held, want)
			}
			time.Sleep([]time.Duration{100, 1000, 200, 400, 0}[i] * time.Millisecond)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A receiver whose goroutine ends before it returns is called again, as one that panics.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := receiving(t, func(ctx context.Context, _ Store) error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			<-ctx.Done()
			return ctx.Err()
		})
		synctest.Wait()
		if held := heldBy(t, p); held != "nothing is received: it has called runtime.Goexit; it is tried again after 100ms" {
			t.Errorf("held up by %q", held)
		}
		time.Sleep(firstPause)
		synctest.Wait()
		if err := p.Close(); err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

// A connection that isn't made is given up, whatever function makes it.
func TestDialIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := connect(t.Context(), "host:9999", options{dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != dialTimeout {
			t.Errorf("%v after %s", err, took)
		}
	})
}
