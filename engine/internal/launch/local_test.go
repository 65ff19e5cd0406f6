package launch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// A receiver that goes on when the stream has ended is waited for, but not without end, and
// tells nobody anything afterwards. Others aren't said to go on.
func TestLocalReceiverThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plan.Program{Settings: plan.DefaultSettings(), Log: slog.New(slog.DiscardHandler)}
		receivers := []func(context.Context, func([]byte)){
			func(_ context.Context, tell func([]byte)) {
				tell([]byte("first"))
				time.Sleep(time.Minute)
				tell([]byte("late"))
			},
			func(ctx context.Context, _ func([]byte)) { <-ctx.Done() },
			func(context.Context, func([]byte)) { panic("it is broken") },
		}
		for _, receive := range receivers {
			site := lineage.Site{File: "shop/main.go", Line: 7}
			p.Graph.Inputs = append(p.Graph.Inputs, &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "socket", Site: site}), Receive: receive})
		}
		e, err := executor.New(t.Context(), p, plan.JobHeader{Parallelism: 1}, executor.Memory{Blocks: 1 << 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		began := time.Now()
		var told []string
		var failure error
		c := &localCluster{exec: e}
		left := c.Receive(ctx, plan.Reception{
			Inputs: []int32{1, 2, 3}, Patience: 40 * time.Second,
			Told: func(_ int32, m []byte) { told = append(told, string(m)) },
			Failed: func(input int32, err error) {
				if input == 3 {
					failure = err
				}
			},
		})
		if took := time.Since(began); took != 41*time.Second || !slices.Equal(left, []int32{1}) {
			t.Errorf("it took %s, %v go on", took, left)
		}
		if failure == nil || !strings.Contains(failure.Error(), "it is broken") {
			t.Errorf("the one that panics: %v", failure)
		}
		time.Sleep(time.Minute)
		if !slices.Equal(told, []string{"first"}) {
			t.Errorf("told %q", told)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// fedPlanner is a planner of what is received.
type fedPlanner struct{ testPlanner }

func (p fedPlanner) Receiving() plan.Receiving { return p }
func (p fedPlanner) Told([]byte)               {}
func (p fedPlanner) Lost(string)               {}

// A receiver that panics fails the stream, which says where it was declared.
func TestLocalReceiverPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var effects []string
		j := testJob(newTestLog(), false, 1000, &effects)
		build := j.Build
		j.Build = func(ctx context.Context, p *plan.Program) error {
			err := build(ctx, p)
			in := p.Graph.Inputs[0]
			in.Open = func(context.Context) (plan.Planner, error) { return fedPlanner{testPlanner{&effects}}, nil }
			in.Receive = func(context.Context, func([]byte)) { panic("it is broken") }
			return err
		}
		err := j.Run(t.Context(), t.Context(), &Local{Slots: 1})
		if op, ok := errors.AsType[*lineage.OpError](err); !ok || op.Op != "in" || !strings.Contains(err.Error(), "it is broken") {
			t.Error(err)
		}
	})
}
