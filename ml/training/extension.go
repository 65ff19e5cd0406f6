package training

import "context"

// Extension does something beside the training steps. The ready ones are in
// package extensions.
//
// An extension may also be a [Restorer], a [Starter], a [Finisher] and serializers.Stateful;
// its state is then part of the trainer's snapshots.
type Extension interface {
	// Name identifies the extension in snapshots and messages.
	Name() string
	// Trigger gives a new default trigger.
	Trigger() Trigger
	// Priority orders the extensions of one iteration.
	Priority() int
	// Run does the work.
	Run(ctx context.Context, t *Trainer) error
}

// Priorities as in Chainer: who adds observations runs before who changes them,
// and that before who reads them.
const (
	PriorityWriter = 300
	PriorityEditor = 200
	PriorityReader = 100
)

// Restorer is an extension that loads an earlier state. It does so before any
// extension starts.
type Restorer interface {
	Restore(t *Trainer) error
}

// Starter is an extension with something to do before the first iteration.
type Starter interface {
	Start(t *Trainer) error
}

// Finisher is an extension with something to do when the training ends. err is
// why it ended, nil if it is done.
type Finisher interface {
	Finish(t *Trainer, err error) error
}

// At replaces an extension's trigger: trainer.Extend(training.At(training.Epochs(5), extensions.Snapshot())).
func At(trigger Trigger, e Extension) Extension { return &retriggered{e, trigger} }

type retriggered struct {
	Extension
	trigger Trigger
}

func (r *retriggered) Trigger() Trigger { return r.trigger }

func unwrap(e Extension) Extension {
	if r, ok := e.(*retriggered); ok {
		return unwrap(r.Extension)
	}
	return e
}

// Func makes a function an extension that runs when trigger fires.
func Func(name string, trigger Trigger, f func(ctx context.Context, t *Trainer) error) Extension {
	return &function{name, trigger, f}
}

type function struct {
	name    string
	trigger Trigger
	run     func(ctx context.Context, t *Trainer) error
}

func (f *function) Name() string                              { return f.name }
func (f *function) Trigger() Trigger                          { return f.trigger }
func (f *function) Priority() int                             { return PriorityReader }
func (f *function) Run(ctx context.Context, t *Trainer) error { return f.run(ctx, t) }
