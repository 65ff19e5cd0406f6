package engine_test

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// broken is a sum that can't be encoded.
type broken struct{}

var errSum = errors.New("the sum is broken")

func (broken) Name() string                  { return "errors" }
func (broken) Append([]byte) ([]byte, error) { return nil, errSum }
func (broken) Restore([]byte) error          { return nil }

// An executor takes what a task added to accumulators at its end: what can't be taken
// fails the task.
func TestExecutorTakesWhatTasksAdd(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachPartition(numbers(ssc), func(_ engine.Batch, p rdd.Part, _ iter.Seq2[int, error]) error {
			p.Task().Accumulate(0, broken{})
			return nil
		})
		return nil
	})
	if !errors.Is(err, errSum) || !strings.Contains(err.Error(), `the accumulator "errors"`) {
		t.Error(err)
	}
}
