package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// Model is a network that knows its loss. links.Classifier is one for
// datasets.Example.
type Model[T any] interface {
	links.Link
	// Loss computes the loss of a batch on a tape, whose mode says whether it
	// is for training or for evaluation, and reports what else is worth seeing.
	Loss(tape *nn.Tape, batch []T, report *links.Report) *nn.Variable
}

// LossFunc computes the loss of a batch.
type LossFunc[T any] func(tape *nn.Tape, batch []T, report *links.Report) *nn.Variable

// Updater makes one training step at a time. The trainer owns it.
type Updater interface {
	serializers.Stateful
	// Update makes one step and gives what was observed, without a prefix.
	Update(ctx context.Context) (*links.Report, error)
	// Optimizer is the optimizer that the steps use.
	Optimizer() optimizers.Optimizer
	// Iteration is the number of steps so far.
	Iteration() int
	// Epoch, EpochDetail, PreviousEpochDetail and IsNewEpoch are the
	// iterator's.
	Epoch() int
	EpochDetail() float64
	PreviousEpochDetail() float64
	IsNewEpoch() bool
}

// StandardUpdater takes a batch, computes its loss, and has the optimizer use
// the gradients.
type StandardUpdater[T any] struct {
	iterator  iterators.Iterator[T]
	optimizer optimizers.Optimizer
	loss      LossFunc[T]
	tape      *nn.Tape
	settings  settings
	iteration int
	checked   bool // that the optimizer knows all parameters
}

// NewStandardUpdater makes an updater for a loss; nil means the Loss method of
// the optimizer's target, which must be a Model[T].
func NewStandardUpdater[T any](o optimizers.Optimizer, it iterators.Iterator[T], loss LossFunc[T], opts ...Option) (*StandardUpdater[T], error) {
	u := &StandardUpdater[T]{iterator: it, optimizer: o, loss: loss, settings: apply(opts)}
	if u.loss == nil {
		model, ok := o.Target().(Model[T])
		if !ok {
			var example T
			return nil, fmt.Errorf("training: %T has no Loss method for batches of %T: wrap it in links.Classifier or pass training.Loss", o.Target(), example)
		}
		u.loss = model.Loss
	}
	u.tape = u.newTape()
	return u, nil
}

func (u *StandardUpdater[T]) newTape() *nn.Tape {
	opts := []nn.Option{nn.Recycle()}
	if u.settings.checkFinite {
		opts = append(opts, nn.CheckFinite())
	}
	return nn.NewTape(nn.Train, opts...)
}

// Optimizer is the optimizer that the steps use.
func (u *StandardUpdater[T]) Optimizer() optimizers.Optimizer { return u.optimizer }

// Iteration is the number of steps so far.
func (u *StandardUpdater[T]) Iteration() int { return u.iteration }

// Epoch is the number of finished passes over the training data.
func (u *StandardUpdater[T]) Epoch() int { return u.iterator.Epoch() }

// EpochDetail is Epoch plus the part of the pass under way.
func (u *StandardUpdater[T]) EpochDetail() float64 { return u.iterator.EpochDetail() }

// PreviousEpochDetail is what EpochDetail was before the last step.
func (u *StandardUpdater[T]) PreviousEpochDetail() float64 { return u.iterator.PreviousEpochDetail() }

// IsNewEpoch tells whether the last step finished a pass.
func (u *StandardUpdater[T]) IsNewEpoch() bool { return u.iterator.IsNewEpoch() }

// Update makes one step.
func (u *StandardUpdater[T]) Update(ctx context.Context) (*links.Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	batch, err := u.iterator.Next()
	if err == io.EOF {
		return nil, errors.New("the iterator is at its end: one made with iterators.Once makes a single pass; for a training leave Once out and bound it by training.Epochs")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a training batch: %w", err)
	}
	defer u.tape.Release()
	// Random numbers depend on the step, not on the steps made before in this
	// process: a resumed run drops what an unbroken one would have dropped.
	nn.Seed(u.stepSeed())(u.tape)
	target := u.optimizer.Target()
	links.ClearGrads(target)
	report := &links.Report{}
	loss := u.loss(u.tape, batch, report)
	if err := loss.Err(); err != nil {
		return nil, fmt.Errorf("computing the loss: %w", err)
	}
	if n := loss.Spec().Size(); n != 1 {
		return nil, fmt.Errorf("the loss has shape %s, want one element: take functions.Mean or Sum of it", loss.Spec())
	}
	if v := float64(loss.Float()); math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, u.diagnose(v, batch)
	}
	if err := u.checkParams(loss); err != nil {
		return nil, err
	}
	if err := loss.Backward(); err != nil {
		return nil, fmt.Errorf("computing the gradients: %w", err)
	}
	if err := u.optimizer.Update(); err != nil {
		return nil, err
	}
	if u.iterator.IsNewEpoch() {
		u.optimizer.NewEpoch()
	}
	u.iteration++
	return report, nil
}

// checkParams looks, in the first step, for parameters that would never be
// trained.
func (u *StandardUpdater[T]) checkParams(loss *nn.Variable) error {
	if u.checked {
		return nil
	}
	u.checked = true
	known := map[*nn.Parameter]bool{}
	for _, p := range links.Params(u.optimizer.Target()) {
		known[p] = true
	}
	for _, p := range loss.Parameters() {
		if !known[p] {
			return fmt.Errorf("%w: %s %s", ErrStray, p.Name(), p.Spec())
		}
	}
	return nil
}

func (u *StandardUpdater[T]) stepSeed() uint64 {
	return u.settings.seed ^ uint64(u.iteration+1)*0x9e3779b97f4a7c15
}

// diagnose finds out where a loss that isn't finite comes from: from a
// parameter that is broken already, or from a layer, which a second, checked
// pass over the same batch names.
func (u *StandardUpdater[T]) diagnose(loss float64, batch []T) error {
	if err := links.CheckFinite(u.optimizer.Target()); err != nil {
		return fmt.Errorf("the loss is %v: %w%s", loss, err, remedy)
	}
	checked := nn.NewTape(nn.Train, nn.Seed(u.stepSeed()), nn.CheckFinite())
	err := u.loss(checked, batch, nil).Err()
	if err == nil {
		err = nn.ErrNotFinite
	}
	if u.iteration == 0 { // no step has led here
		return fmt.Errorf("the loss is %v: %w", loss, err)
	}
	return fmt.Errorf("the loss is %v: %w%s", loss, err, remedy)
}

// remedy is for what steps have led to.
const remedy = "; a smaller learning rate or optimizers.GradientClipping may help"

// Serialize visits iterator, model and optimizer in Chainer's layout.
func (u *StandardUpdater[T]) Serialize(s *serializers.Serializer) {
	u.iterator.Serialize(s.Child("iterator:main"))
	u.optimizer.Target().Serialize(s.Child("model:main"))
	u.optimizer.Serialize(s.Child("optimizer:main"))
	s.Int("iteration", &u.iteration)
}
