package driver

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// However long the interval is, and however far batches reach back, no more are made in that
// time than a bound, or than there are intervals in it.
func TestLeastApart(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, c := range []struct{ interval, reach, want time.Duration }{
		{s, 0, 0},
		{s, 32 * s, 125 * ms},
		{10 * s, 30 * s, 10 * s / 85},     // 117.6 ms
		{10 * ms, 10 * ms, 10 * ms / 256}, // as fast as any program is
		{50 * ms, 32 * s, 50 * ms},        // the interval makes more
		{s, time.Hour, s},
		{time.Hour, 24 * time.Hour, time.Hour / 10},
		{s, ms, s / 256_000}, // Remember(ms)
	} {
		got := leastApart(c.interval, c.reach)
		if got != c.want && got != c.want+1 {
			t.Errorf("interval %s, %s back: %s, want %s", c.interval, c.reach, got, c.want)
		}
		if c.reach == 0 {
			continue
		}
		// Between two ticks as many as fit in, and the tick's.
		perInterval := (c.interval-1)/got + 1
		if n := int64(perInterval) * int64(c.reach) / int64(c.interval); got > c.interval || n > max(reachedBatches, int64(c.reach/c.interval)) {
			t.Errorf("interval %s, %s back: %s makes %d batches", c.interval, c.reach, got, n)
		}
	}
}

// incoming is a clocked job that is told of its records, one every 100 ms.
type incoming struct {
	clocked
	told []time.Duration // since it began, when it is told of records
}

func (c *incoming) Notify(ready func()) error {
	for _, at := range c.told {
		if wait := at - time.Since(c.began); wait > 0 { // what is there is read without that
			time.AfterFunc(wait, ready)
		}
	}
	return nil
}

// As soon as possible batches that others reach back to are kept apart, while those at ticks
// come when they are due, a record that comes after a pause is read at once, and a stop doesn't
// wait.
func TestBatchesAreKeptApart(t *testing.T) {
	const ms = time.Millisecond
	var steady []time.Duration
	for at := 100 * ms; at < 2*time.Second; at += 100 * ms {
		steady = append(steady, at)
	}
	for name, c := range map[string]struct {
		back time.Duration
		told []time.Duration
		last time.Duration // time of the batch before a restart, 0 for none
		want []string
	}{
		"no window": {0, steady, 0, []string{"0-3 of 300ms at 300ms", "3-4 of 400ms at 400ms", "4-5 of 500ms at 500ms", "5-6 of 600ms at 600ms"}},
		"a window": {16 * time.Second, steady, 0, []string{
			"0-3 of 300ms at 300ms", "3-4 of 400ms at 400ms", "4-5 of 500ms at 500ms", "5-6 of 600ms at 600ms"}},
		"a longer one": {51 * time.Second, steady, 0, []string{
			"0-3 of 300ms at 300ms", "3-5 of 500ms at 500ms", "5-7 of 700ms at 700ms", "7-9 of 900ms at 900ms", "9-10 of 1s at 1s", "10-12 of 1.2s at 1.2s"}},
		"an hour's": {time.Hour, steady, 0, []string{"0-3 of 300ms at 300ms", "3-10 of 1s at 1s", "10-20 of 2s at 2s"}},
		"now and then": {51 * time.Second, []time.Duration{420 * ms, 750 * ms}, 0, []string{
			"0-3 of 300ms at 300ms", "3-5 of 500ms at 500ms", "5-7 of 750ms at 750ms", "7-10 of 1s at 1s", "10-20 of 2s at 2s"}},
		"after a restart": {51 * time.Second, steady, 250 * ms, []string{"0-4 of 450ms at 450ms", "4-6 of 650ms at 650ms", "6-8 of 850ms at 850ms", "8-10 of 1s at 1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				job := &incoming{clocked: clocked{began: time.Now(), last: uint64(len(c.want)), stop: func() { time.AfterFunc(10*ms, stop) }}, told: c.told}
				p := &plan.Program{Interval: time.Second, Cadence: plan.AsSoonAsPossible, Settings: plan.DefaultSettings()}
				in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return job, nil }}
				in.Back = c.back
				p.Graph.Inputs = []*plan.Input{in}
				config := Config{Program: p, Batches: job, Cluster: job, Troubles: new(plan.Troubles), Log: slog.New(slog.DiscardHandler)}
				if c.last > 0 {
					config.Recovered.Last = &plan.Allocation{Seq: 7, TimeNanos: job.began.Add(c.last).UnixNano()}
					job.last += 7
				}
				time.Sleep(300 * ms)
				if err := New(config).Run(ctx); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(job.batches, c.want) {
					t.Errorf("\n got %q\nwant %q", job.batches, c.want)
				}
				if at := job.times[len(job.times)-1]; time.Since(at) != 10*ms {
					t.Errorf("it is stopped 10ms after the batch of %s and ends after %s", at.Sub(job.began), time.Since(at))
				}
			})
		})
	}
}
