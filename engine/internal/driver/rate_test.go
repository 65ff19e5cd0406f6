package driver

import (
	"math"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// The steps are Spark's PIDRateEstimatorSuite in other numbers.
func TestPIDEstimator(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
	type step struct {
		at                     float64
		records                int64
		processing, scheduling time.Duration
		rate                   float64 // 0: no estimate
	}
	const second = time.Second
	for name, c := range map[string]struct {
		gains plan.Gains
		steps []step
	}{
		"no estimate": {plan.Gains{Proportional: 1, Integral: 1, Derivative: 0, MinRate: 10}, []step{
			{1, 1000, second, 0, 0}, // the first
			{1, 1000, second, 0, 0}, // time stands still
			{2, 0, second, 0, 0},    // no elements
			{2, 1000, 0, 0, 0},      // no delay
		}},
		"proportional alone follows the processing rate": {plan.Gains{Proportional: 1, Integral: 0, Derivative: 0, MinRate: 10}, []step{
			{1, 1000, second, 0, 0}, {2, 3000, second, 0, 3000}, {3, 500, second / 2, 0, 1000},
		}},
		"scheduling delay lowers the rate": {plan.Gains{Proportional: 1, Integral: 0.2, Derivative: 0, MinRate: 10}, []step{
			{1, 1000, second, 0, 0}, {2, 1000, second, second, 800},
		}},
		"not below the minimum": {plan.Gains{Proportional: 1, Integral: 1, Derivative: 0, MinRate: 100}, []step{
			{1, 1000, second, 0, 0}, {2, 1000, second, 10 * second, 100},
		}},
		"derivative damps": {plan.Gains{Proportional: 0, Integral: 0, Derivative: 1, MinRate: 10}, []step{
			{1, 1000, second, 0, 0}, {2, 800, second, 0, 800},
		}},
	} {
		e := pidEstimator{gains: c.gains}
		for i, s := range c.steps {
			rate, ok := e.observe(at(s.at), s.records, s.processing, s.scheduling, second)
			if ok != (s.rate > 0) || rate != s.rate {
				t.Errorf("%s: step %d gives %v, %v, want %v", name, i, rate, ok, s.rate)
			}
		}
	}
}

// A line that costs lie on is found from batches that differ; from batches of one
// size it isn't guessed that part of the cost is fixed.
func TestCostEstimate(t *testing.T) {
	batch := func(n int64) time.Duration { return 40*time.Millisecond + time.Duration(n)*100*time.Microsecond }
	for name, c := range map[string]struct {
		sizes            []int64
		fixed, perRecord float64 // seconds
	}{
		"of one size":            {[]int64{100, 100, 100, 100}, 0, 500e-6},
		"that differ by a fifth": {[]int64{80, 120, 80, 120, 80, 120}, 0.031, 190e-6},
		"that differ much":       {[]int64{10, 1000, 200, 700}, 0.039, 102e-6},
	} {
		var e cost
		for _, n := range c.sizes {
			e.add(n, batch(n), 100*time.Millisecond, false)
		}
		fixed, perRecord := e.line()
		if math.Abs(fixed-c.fixed) > 0.002 || math.Abs(perRecord-c.perRecord) > c.perRecord/20 {
			t.Errorf("batches %s: %.4f s and %.1f µs a record, want %.4f and %.1f", name, fixed, perRecord*1e6, c.fixed, c.perRecord*1e6)
		}
	}
}

// What was known rides in the allocation; one of an earlier version, without it,
// is read, and what isn't a sane estimate isn't gone on with.
func TestCostRidesInTheAllocation(t *testing.T) {
	c := plan.DefaultSettings()
	r := newRateController(&c, time.Second, nil)
	if r.estimate() != nil || r.budget(time.Second) != c.InitialRate {
		t.Errorf("at first %v, %v", r.estimate(), r.budget(time.Second))
	}
	for i := range 20 {
		n := int64(500 + i)
		r.observe(time.Unix(int64(i+1), 0), n, time.Duration(n)*time.Millisecond, 0)
	}
	b, err := (&plan.Allocation{Format: plan.AllocationFormat, Seq: 3, TimeNanos: 30e9, Cost: r.estimate()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := plan.DecodeAllocation(b)
	if err != nil {
		t.Fatal(err)
	}
	next := newRateController(&c, time.Second, a)
	if got, want := next.budget(time.Second), r.budget(time.Second); math.Abs(got-want) > 1e-6 || got < 700 || got > 1300 {
		t.Errorf("the next driver has a budget of %v, this one of %v", got, want)
	}

	old, err := msgpack.Marshal(map[string]any{"v": 1, "inc": 1, "epoch": 1, "seq": 3, "time": 5, "in": nil})
	if err != nil {
		t.Fatal(err)
	}
	if a, err = plan.DecodeAllocation(old); err != nil || a.Seq != 3 || a.Cost != nil {
		t.Errorf("%+v, %v", a, err)
	}
	for _, broken := range []plan.CostEstimate{{}, {Weight: 1, Records: 1, Seconds: math.NaN(), Squares: 1, Product: 1, Rate: 1}, {Weight: 1, Records: 1, Seconds: 1, Squares: 1, Product: 1, Rate: math.Inf(1)}} {
		if r := newRateController(&c, time.Second, &plan.Allocation{Cost: &broken}); r.pid.primed {
			t.Errorf("%+v was gone on with", broken)
		}
	}
}

// A budget is divided by what inputs had to read: who needs little gets it, and a
// little more, whatever others have to read.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		budget float64
		demand []int64
		want   []float64
	}{
		{100, []int64{7}, []float64{100}},
		{100, []int64{700}, []float64{100}},
		{100, []int64{0, 0}, []float64{50, 50}},
		{100, []int64{1 << 40, 8}, []float64{89, 11}},
		{100, []int64{300, 100, 0}, []float64{49.5, 49.5, 1}},
		{100, []int64{30, 1 << 40, 8}, []float64{38.5, 50.5, 11}},
		{0.5, []int64{3, 0}, []float64{0.25, 0.25}},
		{0, []int64{1, 2}, []float64{0, 0}},
	} {
		got := shares(c.budget, c.demand)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 0.01 {
				t.Errorf("%v among %v: %v, want %v", c.budget, c.demand, got, c.want)
			}
		}
	}
}

// An input of which nothing more can be read leaves the budget to the others,
// however much it has waiting.
func TestSharesOfABlockedInput(t *testing.T) {
	held := plan.Share{Backlog: 1 << 40, Blocked: 1 << 40}
	partly := plan.Share{Records: 5, Backlog: 1 << 40, Blocked: 1<<40 - 3}
	healthy := plan.Share{Records: 50, Backlog: 1 << 20}
	got := shares(100, []int64{demand(held), demand(partly), demand(healthy)})
	for i, want := range []float64{1, 11, 88} {
		if math.Abs(got[i]-want) > 0.01 {
			t.Errorf("input %d gets %v of 100, want %v", i, got[i], want)
		}
	}
	if got := demand(plan.Share{Records: 7, Backlog: 2, Blocked: 9}); got != 7 {
		t.Errorf("more is blocked than waits: %d, want 7", got)
	}
}
