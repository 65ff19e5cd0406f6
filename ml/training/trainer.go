package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// ErrStopped says that the context ended before the training was done.
var ErrStopped = errors.New("training stopped")

// ErrStray says that the loss was computed with a parameter that the optimizer
// doesn't know, and that would never change.
var ErrStray = errors.New("the loss was computed with a parameter that isn't below the optimizer's target: put its link there with links.Add, or call Detach on its result if it is to stay as it is")

// Trainer runs an updater until a trigger stops it, and extensions in between.
// It is used by one goroutine.
type Trainer struct {
	updater     Updater
	stop        Trigger
	extensions  []*entry
	observation map[string]float64
	settings    settings
	unfinished  *unfinished // the iteration that the last run was stopped in
	err         error       // why the trainer can't run

	started time.Time
	elapsed time.Duration // of the runs before this one
}

// entry is an extension with its trigger.
type entry struct {
	name      string
	trigger   Trigger
	priority  int
	extension Extension
}

// Option changes a setting of a trainer or updater.
type Option func(*settings)

type settings struct {
	out         string
	seed        uint64
	checkFinite bool
	loss        any
}

func apply(opts []Option) settings {
	s := settings{out: "result"}
	for _, o := range opts {
		o(&s)
	}
	return s
}

// Out is the directory for the files that extensions write, made when the
// first is written (default "result").
func Out(dir string) Option { return func(s *settings) { s.out = dir } }

// Seed determines the random numbers of dropout (default 0).
func Seed(seed uint64) Option { return func(s *settings) { s.seed = seed } }

// CheckFinite looks for NaN and Inf in all that is computed, so that an error
// names the layer where the first one appeared, gradients included. It costs a
// pass over each array. Without it a loss that isn't finite is still found, and
// its layer looked for then.
func CheckFinite() Option { return func(s *settings) { s.checkFinite = true } }

// Loss trains with f instead of the Loss method of the optimizer's target. T is
// what the iterator yields.
func Loss[T any](f LossFunc[T]) Option { return func(s *settings) { s.loss = f } }

// New makes a trainer with a StandardUpdater. What doesn't fit together is
// reported by Run.
func New[T any](o optimizers.Optimizer, it iterators.Iterator[T], stop Trigger, opts ...Option) *Trainer {
	t := &Trainer{stop: stop, settings: apply(opts)}
	if o == nil || it == nil {
		t.err = errors.New("training: training.New needs an optimizer and an iterator, one is nil")
		return t
	}
	loss, ok := t.settings.loss.(LossFunc[T])
	if t.settings.loss != nil && !ok {
		var example T
		t.err = fmt.Errorf("training: the iterator yields %T, training.Loss takes a %T", example, t.settings.loss)
		return t
	}
	u, err := NewStandardUpdater(o, it, loss, opts...)
	if err != nil {
		t.err = err
		return t
	}
	t.updater = u
	return t
}

// NewWithUpdater makes a trainer with an updater of the caller's.
func NewWithUpdater(u Updater, stop Trigger, opts ...Option) *Trainer {
	return &Trainer{updater: u, stop: stop, settings: apply(opts)}
}

// Updater is what makes the steps.
func (t *Trainer) Updater() Updater { return t.updater }

// Observation holds what the iteration under way reported so far: "main/loss"
// and the like, and what extensions added. Extensions may add to it.
func (t *Trainer) Observation() map[string]float64 { return t.observation }

// Progress is the part of the training that is done, from 0 to 1, where the
// stop trigger knows it.
func (t *Trainer) Progress() (done float64, known bool) {
	i, ok := t.stop.(*IntervalTrigger)
	if !ok || !(i.period > 0) {
		return 0, false
	}
	periods := float64(t.updater.Iteration()) / i.period
	if i.epochs {
		periods = t.updater.EpochDetail() / i.period
	}
	if done = math.Mod(periods, 1); periods > 0 && done < 1e-9 {
		done = 1 // all of a period, not the beginning of the next
	}
	return done, true
}

// Elapsed is how long the training has run, earlier runs included.
func (t *Trainer) Elapsed() time.Duration {
	if t.started.IsZero() {
		return t.elapsed
	}
	return t.elapsed + time.Since(t.started)
}

// Out makes the output directory, if need be, and returns its path.
func (t *Trainer) Out() (string, error) {
	if err := os.MkdirAll(t.settings.out, 0o755); err != nil {
		return "", fmt.Errorf("making the output directory: %w", err)
	}
	return t.settings.out, nil
}

// Extend adds extensions. Each runs when its trigger fires, those of higher
// priority first, equal ones in the order in which they were added. A second
// extension of the same name is called NAME_1, and so on.
func (t *Trainer) Extend(extensions ...Extension) {
	for _, e := range extensions {
		en := &entry{name: e.Name(), trigger: e.Trigger(), priority: e.Priority(), extension: e}
		for i := 1; t.find(en.name) != nil; i++ {
			en.name = fmt.Sprintf("%s_%d", e.Name(), i)
		}
		t.extensions = append(t.extensions, en)
	}
}

func (t *Trainer) find(name string) *entry {
	for _, e := range t.extensions {
		if e.name == name {
			return e
		}
	}
	return nil
}

// Extension gives the extension of a name, nil if there is none.
func (t *Trainer) Extension(name string) Extension {
	if e := t.find(name); e != nil {
		return unwrap(e.extension)
	}
	return nil
}

// Run trains until the stop trigger fires. When ctx ends first it stops after
// the step under way, gives the extensions the chance to finish (a Snapshot
// made with OnStop saves), and returns an error that says ErrStopped and wraps
// ctx's. An extension that ctx interrupts, such as an evaluation, runs again
// when the training goes on from there.
func (t *Trainer) Run(ctx context.Context) (err error) {
	if t.err != nil {
		return t.err
	}
	if err := t.check(); err != nil {
		return fmt.Errorf("training: %w", err)
	}
	t.started = time.Now()
	defer func() { t.elapsed, t.started = t.Elapsed(), time.Time{} }()
	ordered := slices.Clone(t.extensions)
	slices.SortStableFunc(ordered, func(a, b *entry) int { return cmp.Compare(b.priority, a.priority) })
	started := 0
	defer func() {
		for _, e := range ordered[:started] {
			if f, ok := unwrap(e.extension).(Finisher); ok {
				if ferr := f.Finish(t, err); ferr != nil {
					err = errors.Join(err, fmt.Errorf("extension %s: %w", e.name, ferr))
				}
			}
		}
	}()
	for _, e := range ordered {
		if r, ok := unwrap(e.extension).(Restorer); ok {
			if err := r.Restore(t); err != nil {
				return fmt.Errorf("extension %s: %w", e.name, err)
			}
		}
	}
	for _, e := range ordered {
		if s, ok := unwrap(e.extension).(Starter); ok {
			if err := s.Start(t); err != nil {
				return fmt.Errorf("extension %s: %w", e.name, err)
			}
		}
		started++
	}
	return t.loop(ctx, ordered)
}

// check looks for what can't run.
func (t *Trainer) check() error {
	if t.updater == nil {
		return errors.New("the updater is nil")
	}
	if err := checkTrigger(t.stop); err != nil {
		return fmt.Errorf("the stop trigger %w", err)
	}
	for _, e := range t.extensions {
		if err := checkTrigger(e.trigger); err != nil {
			return fmt.Errorf("the trigger of extension %s %w", e.name, err)
		}
	}
	return nil
}

// loop makes steps, each followed by the extensions, or finishes first what an
// earlier run left of an iteration.
func (t *Trainer) loop(ctx context.Context, ordered []*entry) error {
	for {
		left := t.unfinished
		t.unfinished = nil
		if left == nil {
			if t.stop.Fire(t) {
				return nil
			}
			if ctx.Err() != nil {
				return t.stopped(ctx)
			}
			if err := t.step(ctx); err != nil {
				return err
			}
			left = &unfinished{Left: names(ordered)}
		}
		if err := t.runExtensions(ctx, ordered, left); err != nil {
			return err
		}
	}
}

// step has the updater make a step and takes in what it observed.
func (t *Trainer) step(ctx context.Context) error {
	t.observation = map[string]float64{}
	report, err := t.updater.Update(ctx)
	if ended(ctx, err) {
		return t.stopped(ctx)
	}
	if err != nil {
		return fmt.Errorf("training: iteration %d: %w", t.updater.Iteration()+1, err)
	}
	for name, v := range report.All() {
		t.observation["main/"+name] = v
	}
	return nil
}

// runExtensions runs those that are left of an iteration. One that ctx
// interrupted is due again when the training goes on.
func (t *Trainer) runExtensions(ctx context.Context, ordered []*entry, left *unfinished) error {
	for _, e := range ordered {
		if e.name != left.Due && (!slices.Contains(left.Left, e.name) || !e.trigger.Fire(t)) {
			continue
		}
		err := e.extension.Run(ctx, t)
		if ended(ctx, err) {
			t.unfinished = left.from(e.name, t.observation)
			return t.stopped(ctx)
		}
		if err != nil {
			return fmt.Errorf("training: iteration %d: extension %s: %w", t.updater.Iteration(), e.name, err)
		}
	}
	return nil
}

// ended tells whether an error is only that the context has ended.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

func (t *Trainer) stopped(ctx context.Context) error {
	return fmt.Errorf("%w after iteration %d: %w", ErrStopped, t.updater.Iteration(), context.Cause(ctx))
}

// Serialize visits the whole state of the training in the layout of Chainer's
// snapshots. An extension that the file doesn't know starts afresh, and one that
// only the file knows is left out.
func (t *Trainer) Serialize(s *serializers.Serializer) {
	if t.err != nil {
		s.Fail(t.err)
		return
	}
	t.updater.Serialize(s.Child("updater"))
	visit(s, "stop_trigger", t.stop)
	for _, e := range t.extensions {
		visit(s.Child("extensions"), e.name, unwrap(e.extension))
		visit(s.Child("extension_triggers"), e.name, e.trigger)
	}
	if !s.Saving() {
		s.Skip("extensions")
		s.Skip("extension_triggers")
	}
	t.serializeUnfinished(s)
	seconds := t.Elapsed().Seconds()
	if s.Saving() || s.Has("_snapshot_elapsed_time") {
		s.Float("_snapshot_elapsed_time", &seconds)
	}
	s.Then(func() error {
		t.elapsed = time.Duration(math.Round(seconds * float64(time.Second))) // truncation would lose a nanosecond
		return nil
	})
}

// visit serializes an object that has a state, if the file knows it.
func visit(s *serializers.Serializer, name string, object any) {
	if v, ok := object.(serializers.Stateful); ok && (s.Saving() || s.Has(name)) {
		v.Serialize(s.Child(name))
	}
}
