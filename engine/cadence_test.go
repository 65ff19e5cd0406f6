package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/task"
)

// arrivals is an input to which a record comes at each of some times.
type arrivals struct {
	at     []time.Duration // ascending
	tells  bool            // it says when a record comes
	bounds bool            // it can be read until its end

	began time.Time
	mu    sync.Mutex
	end   int // after UntilEnd, else -1
	plans []string
}

func (a *arrivals) Open(context.Context) (engine.Planner, error) {
	a.began, a.end = time.Now(), -1
	switch {
	case a.bounds:
		return boundedArrivals{a}, nil
	case a.tells:
		return &tellingArrivals{arrivals: a, done: make(chan struct{})}, nil
	}
	return a, nil
}

func (a *arrivals) Generate([]byte) (int, func(*task.Context, int) iter.Seq2[int, error], error) {
	return 1, func(*task.Context, int) iter.Seq2[int, error] { return func(func(int, error) bool) {} }, nil
}

// there is how many records have come.
func (a *arrivals) there() int {
	now := time.Since(a.began)
	return len(a.at) - len(slices.DeleteFunc(slices.Clone(a.at), func(at time.Duration) bool { return at <= now }))
}

func (a *arrivals) Plan(_ context.Context, req engine.PlanRequest) (engine.Plan, error) {
	before, _ := binary.Uvarint(req.Previous)
	until := a.there()
	if a.end >= 0 {
		until = a.end
	}
	n := until - int(before)
	if req.Budget > 0 {
		n = min(n, max(1, int(req.Budget)))
	}
	a.mu.Lock()
	a.plans = append(a.plans, fmt.Sprintf("%d at %s", n, time.Since(a.began)))
	a.mu.Unlock()
	until = int(before) + n
	return engine.Plan{
		Ranges: binary.AppendUvarint(nil, uint64(until)), Records: int64(n), Backlog: int64(max(a.there(), a.end) - until), Ended: until == a.end,
	}, nil
}

func (a *arrivals) Completed(context.Context, []byte) error { return nil }
func (a *arrivals) Close() error                            { return nil }

// boundedArrivals has an end.
type boundedArrivals struct{ *arrivals }

func (b boundedArrivals) UntilEnd(context.Context) error {
	b.end = b.there()
	return nil
}

// tellingArrivals says when a record comes.
type tellingArrivals struct {
	*arrivals
	work sync.WaitGroup
	done chan struct{}
}

func (t *tellingArrivals) Notify(ready func()) {
	t.work.Go(func() {
		for _, at := range slices.Compact(slices.Clone(t.at)) {
			select {
			case <-time.After(time.Until(t.began.Add(at))):
				ready()
			case <-t.done:
				return
			}
		}
	})
}

func (t *tellingArrivals) Close() error {
	close(t.done)
	t.work.Wait()
	return nil
}

// runArrivals runs a program over inputs for a while in virtual time. A batch takes as
// long as work says of its number of records.
func runArrivals(t *testing.T, lasts time.Duration, work func(int64) time.Duration, args []string, ins ...*arrivals) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour))) // ticks are at whole seconds of the test
		ctx, cancel := context.WithTimeout(context.Background(), lasts)
		defer cancel()
		args = append([]string{"--master", "local[1]", "--log-level", "error"}, args...)
		err = engine.NewApp("arrivals").Run(ctx, args, 10*time.Second, func(ssc *engine.StreamingContext) error {
			var records int64
			ssc.AddListener(startedBatches(func(b engine.BatchInfo) { records = b.Records }))
			for i, in := range ins {
				engine.ForEachBatch(engine.NewInput[int](ssc, fmt.Sprintf("arrivals%d", i), in), func(engine.Batch, []int) error {
					time.Sleep(work(records))
					return nil
				})
			}
			return nil
		})
	})
	return err
}

// startedBatches is a listener.
type startedBatches func(engine.BatchInfo)

func (f startedBatches) OnBatchStarted(b engine.BatchInfo) { f(b) }

// A batch is planned at once when an input that can tell says that a record came,
// and takes what others have; those that can't tell wait for the next tick. Nothing
// is planned while a batch runs that what comes could still join.
func TestAsSoonAsPossible(t *testing.T) {
	const s = time.Second
	work := func(n int64) time.Duration { return min(time.Duration(n), 1) * 2 * s }
	for name, c := range map[string]struct {
		tells, silent []time.Duration
		want          []string // plans of the first input
	}{
		"nothing comes":            {nil, nil, []string{"0 at 0s", "0 at 10s", "0 at 20s"}},
		"a record each":            {[]time.Duration{3 * s, 12 * s}, nil, []string{"0 at 0s", "1 at 3s", "0 at 10s", "1 at 12s", "0 at 20s"}},
		"behind a busy runner":     {[]time.Duration{3 * s, 3500 * ms, 4 * s}, nil, []string{"0 at 0s", "1 at 3s", "2 at 5s", "0 at 10s", "0 at 20s"}},
		"a tick while a batch ran": {[]time.Duration{9 * s, 9500 * ms, 10500 * ms}, nil, []string{"0 at 0s", "1 at 9s", "2 at 11s", "0 at 20s"}},
		"one that can't tell":      {[]time.Duration{3 * s}, []time.Duration{2 * s, 4 * s}, []string{"0 at 0s", "1 at 3s", "0 at 10s", "0 at 20s"}},
	} {
		told := &arrivals{at: c.tells, tells: true}
		silent := &arrivals{at: c.silent}
		ins := []*arrivals{told}
		if c.silent != nil {
			ins = append(ins, silent)
		}
		if err := runArrivals(t, 29*s, work, []string{"--asap"}, ins...); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told.plans, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", name, told.plans, c.want)
		}
		if want := []string{"0 at 0s", "1 at 3s", "1 at 10s", "0 at 20s"}; c.silent != nil && !slices.Equal(silent.plans, want) {
			t.Errorf("%s: the other\n got %v\nwant %v", name, silent.plans, want)
		}
	}
}

// limited has many records, of which a limit lets one in every three seconds.
type limited struct {
	arrivals
	ready func()
	timer *time.Timer // tells that it does, nil before the first plan
}

func (l *limited) Open(context.Context) (engine.Planner, error) {
	l.began = time.Now()
	return l, nil
}

func (l *limited) Notify(ready func()) { l.ready = ready }

func (l *limited) Plan(context.Context, engine.PlanRequest) (engine.Plan, error) {
	const pace = 3 * time.Second
	l.ready() // the limit let in what this plan holds, while it was asked for
	l.plans = append(l.plans, time.Since(l.began).String())
	if len(l.plans) > 20 {
		return engine.Plan{}, errors.New("planned too often")
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(pace, l.ready)
	}
	l.timer.Reset(pace)
	return engine.Plan{Records: 1, Backlog: 1000, Pace: pace}, nil
}

func (l *limited) Close() error {
	l.timer.Stop()
	return nil
}

// While a limit lets nothing in nothing is planned but at ticks, though the budget has left much,
// and whatever was told while the last plan was made.
func TestAsSoonAsALimitAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		in := &limited{}
		err := engine.NewApp("limited").Run(ctx, []string{"--master", "local[1]", "--log-level", "error", "--asap"}, 10*time.Second, func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(engine.NewInput[int](ssc, "limited", in), func(engine.Batch, []int) error { return nil })
			return nil
		})
		if want := []string{"0s", "3s", "6s", "9s", "10s", "13s"}; err != nil || !slices.Equal(in.plans, want) {
			t.Errorf("%v, planned at %v, want %v", err, in.plans, want)
		}
	})
}

// A backlog is read in batches of the length of the interval, one planned ahead of
// the other; what comes afterwards is read at once.
func TestAsSoonAsPossibleWithABacklog(t *testing.T) {
	in := &arrivals{at: make([]time.Duration, 40_000), tells: true}
	in.at = append(in.at, 150*time.Second)
	work := func(n int64) time.Duration { return 10*ms + time.Duration(n)*ms }
	err := runArrivals(t, 158*time.Second, work, []string{"--asap", "--conf", "streaming.backpressure.initialRate=500"}, in)
	if err != nil {
		t.Fatal(err)
	}
	var largest, read int
	for _, p := range in.plans {
		var n int
		_, _ = fmt.Sscan(p, &n)
		largest, read = max(largest, n), read+n
	}
	if !slices.Contains(in.plans, "1 at 2m30s") || read != 40_001 {
		t.Errorf("%d records in %v", read, in.plans)
	}
	if largest > 13_000 || len(in.plans) > 30 {
		t.Errorf("%d in a batch, 10,000 fit into the interval: %v", largest, in.plans)
	}
}

// Until the end a program needs inputs that have one.
func TestUntilEnd(t *testing.T) {
	none := func(int64) time.Duration { return 0 }
	in := &arrivals{at: []time.Duration{0, 0, time.Second}, bounds: true}
	if err := runArrivals(t, time.Hour, none, []string{"--until-end"}, in); err != nil || !slices.Equal(in.plans, []string{"2 at 0s"}) {
		t.Errorf("%v, %v", in.plans, err)
	}
	err := runArrivals(t, time.Hour, none, []string{"--until-end"}, in, &arrivals{})
	if !errors.Is(err, engine.ErrEndless) || !strings.Contains(err.Error(), "arrivals1 at engine/cadence_test.go:") {
		t.Error(err)
	}
	// A queue's batches come at ticks, and have an end.
	var batches []string
	err = run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(engine.QueueStream(ssc, [][]int{{1}, nil, {2, 3}}, 2), func(b engine.Batch, rows []int) error {
			batches = append(batches, fmt.Sprint(b.Seq, rows))
			return nil
		})
		return nil
	}, "--until-end")
	if err != nil || !slices.Equal(batches, []string{"1 [1]", "2 []", "3 [2 3]"}) {
		t.Errorf("%v, %v", batches, err)
	}
}
