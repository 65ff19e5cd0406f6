package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd"
)

// StateOption is an option of an operator with a keyed state: [Partitions], [By],
// [Timeout], [InitialState], [Holds], [OnTimer], [InitialVariables].
type StateOption func(*stateOptions)

// stateOptions are what options say of a state.
type stateOptions struct {
	timeout     time.Duration
	partitioner rdd.Partitioner
	initial     any                   // []rdd.Pair[K, S], nil for none
	held        []*variables.Variable // see Holds; the timers among them
	timer       any                   // the function of OnTimer, nil for none
	begins      any                   // the *beginning[K] of InitialVariables, nil for none
	errs        []error
}

// What options an operator may have beside those that spread the state.
type stateOptionSet struct{ timeout, initial, variables bool }

// stateOptionsOf adds up the options of an operator, which takes those of a set.
func stateOptionsOf(ssc *StreamingContext, op string, takes stateOptionSet, opts []StateOption) stateOptions {
	o := stateOptions{partitioner: rdd.HashPartitioner{N: ssc.DefaultParallelism()}}
	for _, set := range opts {
		set(&o)
	}
	if o.timeout != 0 && !takes.timeout {
		o.errs = append(o.errs, fmt.Errorf("%w: engine.Timeout means nothing here", ErrState))
	}
	if o.initial != nil && !takes.initial {
		err := fmt.Errorf("%w: engine.InitialState means nothing here", ErrState)
		if takes.variables {
			err = fmt.Errorf("%w: variables begin with what engine.InitialVariables sets", err)
		}
		o.errs = append(o.errs, err)
	}
	if o.begins != nil && !takes.variables {
		o.errs = append(o.errs, fmt.Errorf("%w: engine.InitialVariables means nothing here", ErrState))
	}
	if (o.held != nil || o.timer != nil) && !takes.variables {
		o.errs = append(o.errs, fmt.Errorf("%w: engine.Holds and engine.OnTimer mean nothing here", ErrState))
	}
	if o.timer != nil {
		o.held = append(o.held, variables.NewTimers())
	}
	for _, err := range o.errs {
		ssc.fail(op, err)
	}
	return o
}

// hold adds a variable to those of a state.
func (o *stateOptions) hold(v Variable) {
	if v == nil {
		o.errs = append(o.errs, fmt.Errorf("%w: a variable is nil", ErrState))
		return
	}
	of, err := v.declared()
	if err == nil {
		err = plan.CheckStateName(of.Name)
	}
	if slices.ContainsFunc(o.held, func(h *variables.Variable) bool { return h.Name == of.Name }) {
		err = errors.New("another one has the name, too: each needs one of its own")
	}
	if err != nil {
		o.errs = append(o.errs, fmt.Errorf("%w: the %s %q: %w", ErrState, of.Kind, of.Name, err))
	}
	o.held = append(o.held, of)
}

// Partitions spreads a state over n partitions; by default there are as many as the
// default parallelism. The number may be another one when a job starts again.
func Partitions(n int) StateOption {
	return func(o *stateOptions) {
		if o.partitioner = (rdd.HashPartitioner{N: n}); n < 1 || n > rdd.MaxPartitions {
			o.errs = append(o.errs, fmt.Errorf("%w, not %d", rdd.ErrPartitions, n))
			o.partitioner = rdd.HashPartitioner{N: 1}
		}
	}
}

// By spreads a state as a partitioner does.
func By(p rdd.Partitioner) StateOption {
	return func(o *stateOptions) {
		if p == nil {
			o.errs = append(o.errs, fmt.Errorf("%w: the partitioner is nil", ErrState))
			return
		}
		o.partitioner = p
	}
}

// Timeout ends the state of a key that had no data for d: the function of [MapWithState]
// is called once more, without a value, in the first batch whose time is d or more after
// that of the last one with data.
func Timeout(d time.Duration) StateOption {
	return func(o *stateOptions) {
		if o.timeout = d; d <= 0 {
			o.errs = append(o.errs, fmt.Errorf("%w: a timeout of %s, it must be above 0", ErrState, d))
		}
	}
}

// InitialState is what a state begins with when there is no checkpoint of it. Every
// process must pass the same.
func InitialState[K comparable, S any](pairs []rdd.Pair[K, S]) StateOption {
	return func(o *stateOptions) { o.initial = pairs }
}
