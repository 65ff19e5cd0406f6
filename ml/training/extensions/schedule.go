package extensions

import (
	"context"
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

// Shift multiplies a setting of the optimizer by a factor again and again.
type Shift struct {
	// Setting is the optimizer's hyperparameter, by Chainer's name: "lr",
	// "alpha".
	Setting string
	// Factor is what it is multiplied with.
	Factor float64
	// Limit is where the value stops, 0 for nowhere.
	Limit float64

	first, last float64
	times       int
	started     bool
	loaded      bool
}

// ExponentialShift multiplies a setting by factor after every epoch; other
// times come with training.At:
//
//	training.At(training.Epochs(10), extensions.ExponentialShift("lr", 0.5))
func ExponentialShift(setting string, factor float64) *Shift {
	return &Shift{Setting: setting, Factor: factor}
}

// Name is "ExponentialShift".
func (x *Shift) Name() string { return "ExponentialShift" }

// Trigger is every epoch.
func (x *Shift) Trigger() training.Trigger { return training.Epochs(1) }

// Priority is a reader's.
func (x *Shift) Priority() int { return training.PriorityReader }

func (x *Shift) value(t *training.Trainer) (*float64, error) {
	o := t.Updater().Optimizer()
	v := o.Hyperparameter(x.Setting)
	if v == nil {
		return nil, fmt.Errorf("the optimizer %T has no setting %q", o, x.Setting)
	}
	return v, nil
}

// Start notes the first value, or restores that of a resumed training.
func (x *Shift) Start(t *training.Trainer) error {
	v, err := x.value(t)
	if err != nil {
		return err
	}
	if !x.started {
		x.first, x.started = *v, true
	}
	if x.loaded {
		*v = x.last
	}
	return nil
}

// Run changes the setting.
func (x *Shift) Run(_ context.Context, t *training.Trainer) error {
	v, err := x.value(t)
	if err != nil {
		return err
	}
	x.times++
	x.last = x.first * math.Pow(x.Factor, float64(x.times))
	if x.Limit != 0 && (x.Factor > 1) == (x.last > x.Limit) {
		x.last = x.Limit
	}
	*v = x.last
	return nil
}

// Serialize visits how often the setting was changed, and its value.
func (x *Shift) Serialize(s *serializers.Serializer) {
	s.Int("_t", &x.times)
	s.Float("_last_value", &x.last)
	s.Then(func() error { x.loaded = x.times > 0; return nil })
}

// ObserveValue adds a computed value to the observations of every iteration;
// the learning rate, for instance:
//
//	extensions.ObserveValue("lr", func(t *training.Trainer) float64 { return optimizer.LR })
func ObserveValue(name string, value func(t *training.Trainer) float64) training.Extension {
	return &observer{name, value}
}

type observer struct {
	key   string
	value func(t *training.Trainer) float64
}

func (o *observer) Name() string              { return "observe_" + o.key }
func (o *observer) Trigger() training.Trigger { return training.Iterations(1) }
func (o *observer) Priority() int             { return training.PriorityWriter }

func (o *observer) Run(_ context.Context, t *training.Trainer) error {
	t.Observation()[o.key] = o.value(t)
	return nil
}
