package task

import "fmt"

// Mark is what a task had counted and added to accumulators at a moment.
type Mark struct {
	metrics Metrics
	sums    [][]byte // of the accumulators, encoded
}

// Mark returns what the task has counted and added so far.
func (tc *Context) Mark() (Mark, error) {
	task := tc.Own()
	task.gather()
	m := Mark{metrics: task.Metrics}
	for _, a := range task.accumulated {
		sum, err := a.sum.Append(nil)
		if err != nil {
			return Mark{}, fmt.Errorf("encoding what was added to the accumulator %q: %w", a.sum.Name(), err)
		}
		m.sums = append(m.sums, sum)
	}
	return m, nil
}

// gather adds what was counted in other partitions to what the task's own context has.
func (tc *Context) gather() {
	for _, o := range tc.others {
		tc.Metrics.Add(o.Metrics)
		o.Metrics = Metrics{}
	}
}

// Rewind takes back what the task has counted and added since: it does that work again.
func (tc *Context) Rewind(m Mark) error {
	task := tc.Own()
	task.gather()
	task.Metrics = m.metrics
	task.accumulated = task.accumulated[:len(m.sums)]
	for i, a := range task.accumulated {
		if err := a.sum.Restore(m.sums[i]); err != nil {
			return fmt.Errorf("decoding what was added to the accumulator %q: %w", a.sum.Name(), err)
		}
	}
	return nil
}
