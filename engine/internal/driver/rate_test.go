package driver

import (
	"testing"
	"time"

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
