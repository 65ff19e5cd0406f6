package extensions

import (
	"context"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/training"
)

// Evaluator computes the mean of what a network reports over a data set.
type Evaluator[T any] struct {
	// BatchSize is the number of examples at a time (default 100).
	BatchSize int
	// Label comes before the names of what is reported: "validation" gives
	// "validation/main/loss".
	Label string
	// Loss computes and reports; nil means the Loss method of the network.
	Loss training.LossFunc[T]

	dataset datasets.Dataset[T]
}

// Evaluate evaluates the network that is trained on d after every epoch.
func Evaluate[T any](d datasets.Dataset[T]) *Evaluator[T] {
	return &Evaluator[T]{BatchSize: 100, Label: "validation", dataset: d}
}

// Name is the label.
func (e *Evaluator[T]) Name() string { return e.Label }

// Trigger is every epoch.
func (e *Evaluator[T]) Trigger() training.Trigger { return training.Epochs(1) }

// Priority runs it before the extensions that read observations.
func (e *Evaluator[T]) Priority() int { return training.PriorityWriter }

// Run adds the means to the trainer's observation.
func (e *Evaluator[T]) Run(ctx context.Context, t *training.Trainer) error {
	means, err := e.Of(ctx, t.Updater().Optimizer().Target())
	if err != nil {
		return err
	}
	for name, v := range means {
		t.Observation()[e.Label+"/main/"+name] = v
	}
	return nil
}

// Of evaluates a network and gives the means over all examples by name, such
// as "loss" and "accuracy". Batches count by their sizes, so the last, smaller
// one doesn't distort the mean. Recurrent links begin without a state and have
// theirs back afterwards.
func (e *Evaluator[T]) Of(ctx context.Context, target links.Link) (map[string]float64, error) {
	loss := e.Loss
	if loss == nil {
		model, ok := target.(training.Model[T])
		if !ok {
			var example T
			return nil, fmt.Errorf("evaluating: %T has no Loss method for batches of %T: set Evaluator.Loss", target, example)
		}
		loss = model.Loss
	}
	defer links.Fresh(target)()
	var sums training.Summaries
	tape := nn.NewTape(nn.Evaluate, nn.Recycle())
	batches := iterators.Serial(e.dataset, e.BatchSize, iterators.Once())
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		batch, err := batches.Next()
		if err == io.EOF {
			return sums.Means(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("evaluating: %w", err)
		}
		var report links.Report
		if err := loss(tape, batch, &report).Err(); err != nil {
			return nil, fmt.Errorf("evaluating: %w", err)
		}
		for name, v := range report.All() {
			sums.AddWeighted(name, v, len(batch))
		}
		tape.Release()
	}
}
