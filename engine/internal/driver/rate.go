package driver

import (
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// pidEstimator estimates the rate that an input can be processed at, as
// Spark's PIDRateEstimator does: the error is the difference between the last
// estimate and the rate at which the last batch was processed, the integral
// term is what the scheduling delay has let pile up. The zero value with gains
// set has made no estimate yet.
type pidEstimator struct {
	gains  plan.Gains
	at     time.Time
	rate   float64 // records/s
	err    float64
	primed bool
}

// observe takes in a completed batch and returns the new estimate. There is
// none (ok is false) for the first batch, for one without records or without
// processing time, or when time has not advanced.
func (e *pidEstimator) observe(at time.Time, records int64, processing, scheduling, interval time.Duration) (rate float64, ok bool) {
	if records <= 0 || processing <= 0 || (e.primed && !at.After(e.at)) {
		return 0, false
	}
	processingRate := float64(records) / processing.Seconds()
	if !e.primed {
		e.primed, e.at, e.rate, e.err = true, at, processingRate, 0
		return 0, false
	}
	dt := at.Sub(e.at).Seconds()
	err := e.rate - processingRate
	historical := scheduling.Seconds() * processingRate / interval.Seconds()
	dErr := (err - e.err) / dt
	rate = max(e.gains.MinRate, e.rate-e.gains.Proportional*err-e.gains.Integral*historical-e.gains.Derivative*dErr)
	e.at, e.rate, e.err = at, rate, err
	return rate, true
}

// rateController limits what a batch may hold to what can be processed in time.
// It is a function of what it was told and has no clock.
//
// The estimator is Spark's, but what it is fed is not how fast a batch was, since
// a small one is all overhead: it is the cost of a record, told apart from the
// fixed cost of a batch (cost). A batch is as long as the interval, or
// four times its fixed cost where the interval is too short for that: smaller ones
// would be no faster, and a limit that makes them so would never be left again.
type rateController struct {
	enabled  bool
	interval time.Duration
	pace     time.Duration // least time between two batches: how fast what was measured gets old
	initial  float64       // records/s before there is an estimate
	pid      pidEstimator
	cost     cost
	seen     bool // a batch of this driver
	odd      bool // the next batch is one of the larger ones
}

// overheadShare is the part of a batch that its fixed cost may be.
const overheadShare = 0.25

// vary is by how much batches that are limited differ in size, in turn: from
// batches of one size nobody learns what a record costs.
const vary = 0.2

// newRateController returns a controller that goes on with what the allocation
// before knew; nil for none.
func newRateController(c *plan.Settings, interval time.Duration, before *plan.Allocation) *rateController {
	r := &rateController{enabled: c.Backpressure, interval: interval, pace: interval, initial: c.InitialRate, pid: pidEstimator{gains: c.PID}}
	if before != nil && before.Cost != nil && (*cost)(before.Cost).valid() {
		r.cost = cost(*before.Cost)
		r.pid.primed, r.pid.rate, r.pid.err = true, r.cost.Rate, r.cost.Err // long ago, by whatever clock
	}
	return r
}

// budget returns the records that the next batch may hold, 0 for any number.
// elapsed is the time since the batch before.
func (r *rateController) budget(elapsed time.Duration) float64 {
	if !r.enabled {
		return 0
	}
	if !r.pid.primed {
		return r.initial * max(elapsed, r.interval).Seconds()
	}
	fixed, _ := r.cost.line()
	size := 1 - vary
	if r.odd = !r.odd; r.odd {
		size = 1 + vary
	}
	return max(size*r.pid.rate*(r.target(fixed)-fixed), r.pid.gains.MinRate*elapsed.Seconds())
}

// target returns how many seconds a batch may take.
func (r *rateController) target(fixed float64) float64 {
	return max(r.interval.Seconds(), fixed/overheadShare)
}

// observe takes in a completed batch, which waited for others before it ran.
func (r *rateController) observe(at time.Time, records int64, processing, waited time.Duration) {
	if records <= 0 || processing <= 0 {
		return // it tells nothing of what records cost
	}
	r.cost.add(records, processing, r.pace, !r.seen)
	r.seen = true
	fixed, perRecord := r.cost.line()
	target := r.target(fixed)
	perRecord = max(perRecord, (target-fixed)/r.cost.most(r.interval.Seconds()))
	work := seconds(perRecord * float64(records))
	// Where batches take longer than the interval each waits for the one before
	// it: that is no delay that smaller ones would take away.
	delay := max(0, waited-seconds(target)+r.interval)
	if gain := r.pid.gains.Integral; gain > 0 { // half as many records drain a queue as fast as none
		delay = min(delay, seconds(target/2/gain))
	}
	r.pid.observe(at, records, work, delay, seconds(target))
	r.cost.Rate, r.cost.Err = r.pid.rate, r.pid.err
}

// seconds returns a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// estimate returns what is to be known after a restart, nil for nothing.
func (r *rateController) estimate() *plan.CostEstimate {
	if r.cost.Weight == 0 {
		return nil
	}
	c := plan.CostEstimate(r.cost)
	return &c
}

// demand is how many records an input would have read without a budget.
func demand(p plan.Share) int64 { return p.Records + max(0, p.Backlog-p.Blocked) }

// shares divides a budget among inputs: each gets what it had to read last time,
// and a little more since something may have come, but none more than an equal part
// of what the others don't need. 0 stands for no limit, of each as of all.
func shares(budget float64, demand []int64) []float64 {
	s, left := make([]float64, len(demand)), len(demand)
	rest := budget
	for settled := true; settled && left > 0; {
		settled = false
		even := rest / float64(left)
		for i, n := range demand {
			if want := 1.25*float64(n) + 1; s[i] == 0 && want < even {
				s[i], settled = want, true
				rest -= want
				left--
			}
		}
	}
	for i := range s {
		if s[i] == 0 { // it wants more than there is
			s[i] = rest / float64(left)
		} else if left == 0 { // all have what they want
			s[i] += rest / float64(len(s))
		}
	}
	return s
}
