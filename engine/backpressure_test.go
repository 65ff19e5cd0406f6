package engine_test

import (
	"context"
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/task"
)

// load is an input to which records come at a steady rate, and what its batches
// cost the program. Time is virtual, and so are the records: nothing is read.
type load struct {
	interval, lasts time.Duration
	rate            float64 // records/s that come
	backlog         int64   // records that are there at the beginning
	cost            func(at time.Duration, records int64) time.Duration
	args            []string
	burst           int64 // records that come 30 s after the beginning
	listener        any   // unless nil, told what the driver does

	began   time.Time
	mu      sync.Mutex
	planned map[uint64]loadBatch // by sequence number
	done    []loadBatch
}

// loadBatch is what became of a batch.
type loadBatch struct {
	from, until    int64 // offsets
	backlog        int64 // behind it, when it was planned
	planned, ended time.Duration
	oldest         time.Duration // how long the oldest record took
}

func (l *load) Open(context.Context) (engine.Planner, error) { return l, nil }

func (l *load) Generate([]byte) (int, func(*task.Context, int) iter.Seq2[int, error], error) {
	return 1, func(*task.Context, int) iter.Seq2[int, error] { return func(func(int, error) bool) {} }, nil
}

func (l *load) Plan(_ context.Context, req engine.PlanRequest) (engine.Plan, error) {
	before, _ := binary.Uvarint(req.Previous)
	at := time.Since(l.began)
	b := loadBatch{from: int64(before), planned: at}
	there := l.backlog + int64(at.Seconds()*l.rate+1e-6)
	if at >= 30*time.Second {
		there += l.burst
	}
	if b.until = there; req.Budget > 0 {
		b.until = min(there, b.from+max(1, int64(req.Budget)))
	}
	b.backlog = there - b.until
	l.mu.Lock()
	defer l.mu.Unlock()
	l.planned[req.Seq] = b
	return engine.Plan{Ranges: binary.AppendUvarint(nil, uint64(b.until)), Records: b.until - b.from, Backlog: b.backlog}, nil
}

func (l *load) Completed(context.Context, []byte) error { return nil }
func (l *load) Close() error                            { return nil }

// work takes the time that a batch costs.
func (l *load) work(batch engine.Batch, _ []int) error {
	l.mu.Lock()
	b := l.planned[batch.Seq]
	l.mu.Unlock()
	time.Sleep(l.cost(time.Since(l.began), b.until-b.from))
	b.ended = time.Since(l.began)
	if b.until > b.from {
		came := max(0, b.from-l.backlog)
		if l.burst > 0 && b.ended > 30*time.Second { // which comes all at once
			came = max(min(came, int64(30*l.rate)), came-l.burst)
		}
		b.oldest = b.ended - time.Duration(float64(came)/l.rate*float64(time.Second))
	}
	l.mu.Lock()
	l.done = append(l.done, b)
	l.mu.Unlock()
	return nil
}

// run runs the program in virtual time and returns the batches.
func (l *load) run(t *testing.T) []loadBatch {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l.began = time.Now()
		l.runHere(t)
	})
	return l.done
}

// runHere runs the program for as long as it lasts.
func (l *load) runHere(t *testing.T) {
	t.Helper()
	if l.planned == nil {
		l.planned = make(map[uint64]loadBatch)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.lasts)
	defer cancel()
	args := append([]string{"--master", "local[1]", "--log-level", "error"}, l.args...)
	err := engine.NewApp("load").Run(ctx, args, l.interval, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(engine.NewInput[int](ssc, "load", l), l.work)
		if l.listener != nil {
			ssc.AddListener(l.listener)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// linear is the cost of batches with a fixed part and one for each record.
func linear(fixed, perRecord time.Duration) func(time.Duration, int64) time.Duration {
	return func(_ time.Duration, n int64) time.Duration { return fixed + time.Duration(n)*perRecord }
}

// after returns the batches that were planned at a time or later.
func after(bs []loadBatch, at time.Duration) []loadBatch {
	i := slices.IndexFunc(bs, func(b loadBatch) bool { return b.planned >= at })
	return bs[max(0, i):]
}

// worst returns the longest that a record took, and that a batch took from its
// plan to its end.
func worst(bs []loadBatch) (record, batch time.Duration) {
	for _, b := range bs {
		record, batch = max(record, b.oldest), max(batch, b.ended-b.planned)
	}
	return record, batch
}

// perSecond returns how many records a second batches were read, one after the other.
func perSecond(bs []loadBatch) float64 {
	first, last := bs[0], bs[len(bs)-1]
	return float64(last.until-first.until) / (last.ended - first.ended).Seconds()
}

const (
	ms = time.Millisecond
	us = time.Microsecond
)

// At an interval that batches hardly keep, nothing that holds one of them up, and
// no noise, makes the plan sink to small batches, which are no faster: what piled
// up is gone soon, and latency is as before.
func TestBackpressureAtShortIntervals(t *testing.T) {
	for _, fixed := range []time.Duration{3500 * us, 4500 * us, 5500 * us} {
		for _, noise := range []float64{0, 0.6} {
			random := rand.New(rand.NewPCG(1, 2))
			stalled := false
			l := &load{interval: 5 * ms, lasts: 5 * time.Second, rate: 10_000}
			l.cost = func(at time.Duration, n int64) time.Duration {
				c := linear(fixed, 2*us)(at, n)
				c += time.Duration((random.ExpFloat64() - 0.8) * noise * float64(c) / 2)
				if at > 2*time.Second && !stalled {
					stalled = true
					c += 300 * ms
				}
				return max(c, ms)
			}
			bs := l.run(t)
			record, _ := worst(after(bs, 3*time.Second))
			if limit := 3*fixed + 8*ms + time.Duration(noise*float64(30*ms)); record > limit {
				t.Errorf("a batch costs %s, noise %v: a second after it was held up a record took %s, the limit is %s", fixed, noise, record, limit)
			}
			if r := perSecond(after(bs, 3*time.Second)); r < 9_900 || r > 10_100 {
				t.Errorf("a batch costs %s, noise %v: %.0f records/s are read", fixed, noise, r)
			}
		}
	}
}

// Where many batches may wait, what waits is finished before the plan can catch up;
// it doesn't sink meanwhile.
func TestBackpressureOfALongQueue(t *testing.T) {
	stalled := false
	l := &load{interval: 5 * ms, lasts: 6 * time.Second, rate: 10_000, args: []string{"--conf", "streaming.maxPendingBatches=100"}}
	l.cost = func(at time.Duration, n int64) time.Duration {
		if at > 2*time.Second && !stalled {
			stalled = true
			return 300 * ms
		}
		return linear(4500*us, 2*us)(at, n)
	}
	bs := l.run(t)
	if record, _ := worst(bs); record > 350*ms {
		t.Errorf("after a pause of 300ms a record took %s", record)
	}
	if r := perSecond(after(bs, 3*time.Second)); r < 9_900 {
		t.Errorf("%.0f records/s are read", r)
	}
}

// Batches that take longer than the interval, whatever is in them, hold what came
// meanwhile.
func TestBatchesLongerThanTheInterval(t *testing.T) {
	for _, c := range []struct {
		rate      float64
		perRecord time.Duration
		lowest    string
	}{{100, 0, "100"}, {100, 0, "1"}, {5000, 0, "100"}, {600, ms, "100"}} {
		l := &load{interval: 100 * ms, lasts: 40 * time.Second, rate: c.rate, cost: linear(500*ms, c.perRecord),
			args: []string{"--conf", "streaming.backpressure.pid.minRate=" + c.lowest}}
		bs := l.run(t)
		if last := bs[len(bs)-1]; float64(last.backlog) > c.rate {
			t.Errorf("%v records/s of %s: the last batch leaves %d behind", c.rate, c.perRecord, last.backlog)
		}
	}
}

// A program that is too slow for what comes works at its rate, in batches of about
// the interval, so that it can be stopped in bounded time.
func TestTooSlow(t *testing.T) {
	for name, l := range map[string]*load{
		"steadily":               {interval: 100 * ms, lasts: 20 * time.Second, rate: 5000, cost: linear(5*ms, ms)},
		"a backlog at the start": {interval: time.Second, lasts: 60 * time.Second, rate: 500, backlog: 1 << 40, cost: linear(5*ms, ms)},
		"all at once": {interval: time.Second, lasts: 60 * time.Second, rate: 5000, cost: func(at time.Duration, n int64) time.Duration {
			if at > 20*time.Second {
				return linear(5*ms, ms)(at, n)
			}
			return linear(5*ms, 10*us)(at, n)
		}},
	} {
		l.args = []string{"--conf", "streaming.backpressure.initialRate=10000"}
		bs := after(l.run(t), l.lasts*3/4)
		if _, batch := worst(bs); batch > 3*l.interval {
			t.Errorf("%s: a batch took %s from its plan to its end", name, batch)
		}
		if r := perSecond(bs); r < 850 || r > 1000 {
			t.Errorf("%s: %.0f records/s are read, it can do 1,000", name, r)
		}
	}
}

// When records became cheaper, or had been few, batches grow to what the program
// can do within seconds.
func TestBackpressureRecovers(t *testing.T) {
	slow := func(at time.Duration, n int64) time.Duration {
		if at > 20*time.Second && at < 40*time.Second {
			return linear(5*ms, ms)(at, n)
		}
		return linear(5*ms, 10*us)(at, n)
	}
	for name, l := range map[string]*load{
		"slow for 20 s":   {interval: time.Second, lasts: 70 * time.Second, rate: 5000, cost: slow},
		"a brief backlog": {interval: time.Second, lasts: 70 * time.Second, rate: 10, cost: linear(5*ms, 10*us), burst: 1_000_000},
	} {
		bs := l.run(t)
		if record, _ := worst(after(bs, 60*time.Second)); record > 1100*ms {
			t.Errorf("%s: 20 s later a record takes %s", name, record)
		}
		for _, b := range after(bs, 40*time.Second) {
			if b.until-b.from > 250_000 {
				t.Errorf("%s: a batch holds %d records", name, b.until-b.from)
			}
		}
	}
}

// A job that goes on after a pause knows what records cost, and reads what came
// meanwhile in batches of the usual length, the first of them at the batch times
// that passed.
func TestBackpressureAfterPause(t *testing.T) {
	dir := t.TempDir()
	l := &load{interval: time.Second, lasts: 10 * time.Second, rate: 500, cost: linear(5*ms, ms), args: []string{"--checkpoint", dir}}
	synctest.Test(t, func(t *testing.T) {
		l.began = time.Now()
		l.runHere(t)
		before := len(l.done)
		time.Sleep(time.Hour)
		l.runHere(t)
		for i, b := range l.done[before:] {
			if n := b.until - b.from; n < 500 || n > 2000 {
				t.Errorf("batch %d after the pause holds %d records, 1,000 fit into the interval", i+1, n)
			}
		}
	})
}

// Inputs share a batch's time: together they take no longer than one alone, and
// none of them starves.
func TestBackpressureOfTwoInputs(t *testing.T) {
	newLoad := func(rate float64) *load {
		return &load{interval: 100 * ms, rate: rate, cost: linear(5*ms, ms), planned: make(map[uint64]loadBatch)}
	}
	flood, trickle := newLoad(5000), newLoad(50)
	synctest.Test(t, func(t *testing.T) {
		flood.began, trickle.began = time.Now(), time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := engine.NewApp("two").Run(ctx, []string{"--master", "local[1]", "--log-level", "error"}, 100*ms, func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(engine.NewInput[int](ssc, "flood", flood), flood.work)
			engine.ForEachBatch(engine.NewInput[int](ssc, "trickle", trickle), trickle.work)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	f, s := after(flood.done, 20*time.Second), after(trickle.done, 20*time.Second)
	if _, batch := worst(s); batch > 400*ms { // its output runs after the other's
		t.Errorf("a batch took %s from its plan to its end", batch)
	}
	if a, b := perSecond(f), perSecond(s); a+b < 800 || a+b > 1000 || b < 48 {
		t.Errorf("%.0f and %.0f records/s are read, 1,000 together are possible, 50 come to the second", a, b)
	}
}

// Records that were fetched along with earlier ones make the first batches look
// faster than any that follows. What is planned by their speed takes longer, and
// then no batch sinks below what an interval can hold.
func TestBackpressureAfterFetchedAhead(t *testing.T) {
	l := &load{interval: 20 * ms, lasts: 2 * time.Second, rate: 1000, backlog: 1 << 40}
	var read int64
	l.cost = func(_ time.Duration, n int64) time.Duration {
		fast := min(n, max(0, 300_000-read)) // at 20 M/s, the others at 5 M/s
		read += n
		return 500*us + time.Duration(fast*50+(n-fast)*200)
	}
	bs := l.run(t)
	if read < 9_000_000 {
		t.Errorf("%d records were read, not quite 10,000,000 are possible", read)
	}
	for i, b := range bs {
		if n := b.until - b.from; i >= 5 && n < 45_000 {
			t.Errorf("batch %d holds %d records, an interval holds 100,000", i+1, n)
		}
	}
	if _, batch := worst(bs); batch > 150*ms {
		t.Errorf("a batch took %s from its plan to its end", batch)
	}
}
