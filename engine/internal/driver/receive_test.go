package driver

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// heldReceiver is a stream whose input's receiver takes its time to end.
type heldReceiver struct {
	clocked
	ends   time.Duration // of the receiver, after the stream's
	during func(r plan.Reception)
	left   []int32

	mu   sync.Mutex
	told []string
}

func (c *heldReceiver) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, what+" after "+time.Since(c.began).String())
}

func (c *heldReceiver) Receiving() plan.Receiving { return c }

func (c *heldReceiver) Told(message []byte) {
	if len(message) == 0 {
		runtime.Goexit()
	}
	panic("can't read " + string(message))
}

func (c *heldReceiver) Lost(why string) { panic("no executor: " + why) }
func (c *heldReceiver) Close() error    { c.note("closed"); return nil }

func (c *heldReceiver) Receive(ctx context.Context, r plan.Reception) []int32 {
	if c.during != nil {
		c.during(r)
	}
	<-ctx.Done()
	time.Sleep(min(c.ends, r.Patience))
	c.note("received")
	return c.left
}

func (c *heldReceiver) SaveLast(context.Context, *plan.Allocation, func(int, plan.SaveKind) (bool, error)) error {
	c.note("saved")
	return nil
}

// run runs the stream for two batches. Its input has a receiver, or has none.
func (c *heldReceiver) run(t *testing.T, receive func(context.Context, func([]byte)), log *slog.Logger) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c.began, c.last, c.stop = time.Now(), 2, stop
	p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings(), Calls: new(plan.Calls)}
	defer p.Calls.Close()
	in := &plan.Input{
		Stream: p.Graph.AddStream(plan.Declaration{Op: "socket", Site: lineage.Site{File: "shop/main.go", Line: 7}}), Receive: receive,
		Open: func(context.Context) (plan.Planner, error) { return c, nil },
	}
	p.Graph.Inputs = []*plan.Input{in}
	return New(Config{Program: p, Batches: c, Cluster: c, States: c, Troubles: new(plan.Troubles), Log: log}).Run(ctx)
}

func receiveNothing(context.Context, func([]byte)) {}

// A receiver that takes its time to end keeps no state from being saved, and the planner is
// there until it has ended. One that goes on is named.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := &heldReceiver{ends: time.Hour, left: []int32{1}}
		if err := c.run(t, receiveNothing, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if want := []string{"saved after 2s", "received after 42s", "closed after 42s"}; !slices.Equal(c.told, want) {
			t.Errorf("\n got %q\nwant %q", c.told, want)
		}
		if !strings.Contains(log.String(), "input=socket at=shop/main.go:7 after=40s") {
			t.Errorf("it isn't named: %s", &log)
		}
	})
}

// What fails where something is received fails the stream, which says where it was declared.
func TestReceivingFails(t *testing.T) {
	for why, during := range map[string]func(r plan.Reception){
		"it is broken":   func(r plan.Reception) { r.Failed(1, errors.New("it is broken")) },
		"can't read 1":   func(r plan.Reception) { r.Told(1, []byte("1")) },
		"no executor: 2": func(r plan.Reception) { r.Lost(1, "2") },
		"ended its goroutine": func(r plan.Reception) {
			time.Sleep(time.Second / 2) // until batches are planned
			r.Told(1, nil)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			heard := false
			c := &heldReceiver{during: func(r plan.Reception) {
				during(r)
				heard = true
			}}
			if err := c.run(t, receiveNothing, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "socket at shop/main.go:7: ") || !strings.Contains(err.Error(), why) {
				t.Errorf("%v, want that %s", err, why)
			}
			if !heard {
				t.Errorf("%s: who heard of it didn't go on", why)
			}
		})
	}
}

// An input whose planner waits for a receiver that there isn't is an error.
func TestNoReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := new(heldReceiver).run(t, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, errNoReceiver) {
			t.Error(err)
		}
	})
}
