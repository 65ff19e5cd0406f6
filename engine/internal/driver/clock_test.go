package driver

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// clocked is a job of one input, to which a record comes every 100 ms, whose clock is set
// while batches run.
type clocked struct {
	plan.Log
	began   time.Time
	ahead   time.Duration            // of the clock
	set     map[uint64]time.Duration // by how much it is set in a batch
	last    uint64                   // batch
	stop    func()
	batches []string
	times   []time.Time
	read    uint64
}

func (c *clocked) now() time.Time { return time.Now().Add(c.ahead) }

func (c *clocked) Plan(_ context.Context, req plan.PlanRequest) (plan.Share, error) {
	from, _ := binary.Uvarint(req.Previous)
	until := uint64(time.Since(c.began) / (100 * time.Millisecond))
	return plan.Share{Ranges: binary.AppendUvarint(nil, until), Records: int64(until - from)}, nil
}

func (*clocked) Beside(*task.Process) error                      { return nil }
func (*clocked) Notify(func()) error                             { return nil }
func (*clocked) UntilEnd(context.Context) error                  { return nil }
func (*clocked) Receiving() plan.Receiving                       { return nil }
func (*clocked) Receive(context.Context, plan.Reception) []int32 { return nil }
func (*clocked) Completed(context.Context, []byte) error         { return nil }
func (*clocked) Close() error                                    { return nil }

// Allocate notes a batch.
func (c *clocked) Allocate(_ context.Context, a *plan.Allocation, _ ...plan.Completion) error {
	c.times = append(c.times, a.Time())
	until, _ := binary.Uvarint(a.Inputs[0].Ranges)
	c.batches = append(c.batches, fmt.Sprintf("%d-%d of %s at %s", c.read, until, a.Time().Sub(c.began), time.Since(c.began)))
	c.read = until
	c.ahead += c.set[a.Seq]
	if c.stop != nil && a.Seq == c.last {
		c.stop()
	}
	return nil
}

func (*clocked) Complete(context.Context, plan.Completion) error                 { return nil }
func (*clocked) Process() *task.Process                                          { return nil }
func (*clocked) Invoke(context.Context, *plan.Generation, plan.Invocation) error { return nil }
func (*clocked) Remember(*plan.Allocation) error                                 { return nil }
func (*clocked) Forget(uint64, uint64)                                           {}
func (*clocked) Run(context.Context, *plan.Generation, int32) (*scheduler.JobResult, error) {
	return &scheduler.JobResult{}, nil
}

// A clock that is set, forth or back, neither loses a batch's records nor brings them twice:
// batches' times ascend, and one comes an interval after the other at the latest.
func TestClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		cadence plan.Cadence
		set     map[uint64]time.Duration
		want    []string
	}{
		"not": {plan.ByInterval, nil, []string{"0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-30 of 3s at 3s", "30-40 of 4s at 4s"}},
		"forth": {plan.ByInterval, map[uint64]time.Duration{2: time.Hour},
			[]string{"0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-20 of 1h0m2s at 2s", "20-30 of 1h0m3s at 3s"}},
		"forth, between two ticks": {plan.ByInterval, map[uint64]time.Duration{2: 1500 * time.Millisecond},
			[]string{"0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-20 of 3s at 2s", "20-25 of 4s at 2.5s"}},
		"back": {plan.ByInterval, map[uint64]time.Duration{2: -time.Hour},
			[]string{"0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-30 of 3s at 3s", "30-40 of 4s at 4s"}},
		"back and forth": {plan.ByInterval, map[uint64]time.Duration{1: -30 * time.Second, 3: 30 * time.Second},
			[]string{"0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-30 of 3s at 3s", "30-40 of 4s at 4s"}},
		"back, as soon as possible": {plan.AsSoonAsPossible, map[uint64]time.Duration{2: -time.Hour},
			[]string{"0-0 of 0s at 0s", "0-10 of 1s at 1s", "10-20 of 2s at 2s", "20-30 of 3s at 3s"}},
		"forth, as soon as possible": {plan.AsSoonAsPossible, map[uint64]time.Duration{2: time.Hour},
			[]string{"0-0 of 0s at 0s", "0-10 of 1s at 1s", "10-10 of 1h0m1s at 1s", "10-20 of 1h0m2s at 2s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				job := &clocked{began: time.Now(), set: c.set, last: uint64(len(c.want)), stop: stop}
				p := &plan.Program{Interval: time.Second, Cadence: c.cadence, Settings: plan.DefaultSettings()}
				in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return job, nil }}
				p.Graph.Inputs = []*plan.Input{in}
				d := New(Config{Program: p, Batches: job, Cluster: job, Troubles: new(plan.Troubles), Clock: job.now, Log: slog.New(slog.DiscardHandler)})
				if err := d.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(job.batches, c.want) {
					t.Errorf("\n got %q\nwant %q", job.batches, c.want)
				}
				if !slices.IsSortedFunc(job.times, time.Time.Compare) {
					t.Errorf("the batches' times are %v", job.times)
				}
			})
		})
	}
}
