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
