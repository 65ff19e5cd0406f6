package training

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/serializers"
)

// Trigger decides after each iteration whether something happens now. One
// trigger serves one extension, since it may remember when it last fired.
type Trigger interface {
	Fire(t *Trainer) bool
}

// TriggerFunc makes a function without a memory a Trigger.
type TriggerFunc func(t *Trainer) bool

// Fire calls f.
func (f TriggerFunc) Fire(t *Trainer) bool { return f(t) }

// Epochs fires every n epochs; n may be a fraction.
func Epochs(n float64) *IntervalTrigger { return newInterval(n, true) }

// Iterations fires every n iterations.
func Iterations(n int) *IntervalTrigger { return newInterval(float64(n), false) }

// IntervalTrigger fires at regular intervals. As a stop trigger it ends the
// training after one.
type IntervalTrigger struct {
	period            float64
	epochs            bool
	previousIteration int     // -1 before the first call
	previousEpoch     float64 // likewise
}

func newInterval(period float64, epochs bool) *IntervalTrigger {
	return &IntervalTrigger{period: period, epochs: epochs, previousIteration: -1, previousEpoch: -1}
}

// checkTrigger tells whether a trigger can fire sensibly.
func checkTrigger(t Trigger) error {
	i, ok := t.(*IntervalTrigger)
	switch {
	case t == nil || ok && i == nil:
		return errors.New("is nil")
	case ok && !(i.period >= 0):
		return fmt.Errorf("fires every %v epochs or iterations", i.period)
	}
	return nil
}

// Fire tells whether a multiple of the period was passed since the last call.
func (i *IntervalTrigger) Fire(t *Trainer) bool {
	u := t.Updater()
	now, before := float64(u.Iteration()), float64(i.previousIteration)
	if before < 0 {
		before = now - 1
	}
	if i.epochs {
		if now, before = u.EpochDetail(), i.previousEpoch; before < 0 {
			before = u.PreviousEpochDetail()
		}
	}
	i.previousIteration, i.previousEpoch = u.Iteration(), u.EpochDetail()
	if !(i.period > 0) {
		return true // an interval of nothing is over at once
	}
	return intervals(before, i.period) != intervals(now, i.period) && now > 0
}

// intervals is how many periods fit. A point that is short of a multiple only
// by rounding counts as having reached it.
func intervals(at, period float64) float64 { return math.Floor(at/period + 1e-9) }

// Serialize visits when the trigger was last asked.
func (i *IntervalTrigger) Serialize(s *serializers.Serializer) {
	s.Int("previous_iteration", &i.previousIteration)
	s.Float("previous_epoch_detail", &i.previousEpoch)
}

// AtEpochs fires once when each of the given points is passed.
func AtEpochs(points ...float64) Trigger {
	return TriggerFunc(func(t *Trainer) bool {
		before, now := t.Updater().PreviousEpochDetail(), t.Updater().EpochDetail()
		return slices.ContainsFunc(points, func(p float64) bool { return before < p && p <= now })
	})
}

// BestTrigger fires when an observed value is better than ever before; it
// looks at the mean over an interval.
type BestTrigger struct {
	key      string
	better   func(a, b float64) bool
	interval *IntervalTrigger
	summary  Summary
	best     float64
	seen     bool
}

// MaxValue fires at the end of an epoch whose mean of key is the largest yet.
func MaxValue(key string) *BestTrigger {
	return &BestTrigger{key: key, interval: Epochs(1), better: func(a, b float64) bool { return a > b }}
}

// MinValue fires at the end of an epoch whose mean of key is the smallest yet.
func MinValue(key string) *BestTrigger {
	return &BestTrigger{key: key, interval: Epochs(1), better: func(a, b float64) bool { return a < b }}
}

// Fire tells whether the interval that ends now is the best yet.
func (b *BestTrigger) Fire(t *Trainer) bool {
	if v, ok := t.Observation()[b.key]; ok {
		b.summary.Add(v)
	}
	if !b.interval.Fire(t) || b.summary.N() == 0 {
		return false
	}
	mean := b.summary.Mean()
	b.summary = Summary{}
	if b.seen && !b.better(mean, b.best) {
		return false
	}
	b.best, b.seen = mean, true
	return true
}

// Serialize visits the best value and the interval under way.
func (b *BestTrigger) Serialize(s *serializers.Serializer) {
	b.interval.Serialize(s.Child("interval_trigger"))
	b.summary.Serialize(s.Child("summary"))
	s.Float("best_value", &b.best)
	s.Bool("seen", &b.seen)
}

// EarlyStopping is a stop trigger: it fires when key has not become smaller
// (larger, if maximize) for patience epochs, and in any case after limit
// epochs.
func EarlyStopping(key string, maximize bool, patience int, limit float64) *EarlyStoppingTrigger {
	e := &EarlyStoppingTrigger{patience: patience, best: MinValue(key), every: Epochs(1), limit: Epochs(limit)}
	if maximize {
		e.best = MaxValue(key)
	}
	return e
}

// EarlyStoppingTrigger is made by EarlyStopping.
type EarlyStoppingTrigger struct {
	best         *BestTrigger
	every, limit *IntervalTrigger
	patience     int
	worse        int
}

// Fire tells whether to stop.
func (e *EarlyStoppingTrigger) Fire(t *Trainer) bool {
	stop, epoch := e.limit.Fire(t), e.every.Fire(t)
	if e.best.Fire(t) {
		e.worse = 0
	} else if epoch {
		e.worse++
	}
	return stop || e.worse >= max(e.patience, 1)
}

// Serialize visits the trigger's memory.
func (e *EarlyStoppingTrigger) Serialize(s *serializers.Serializer) {
	e.best.Serialize(s.Child("best"))
	e.every.Serialize(s.Child("every"))
	e.limit.Serialize(s.Child("limit"))
	s.Int("count", &e.worse)
}
