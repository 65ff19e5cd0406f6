package task

import "fmt"

// MaxUpdateBytes bounds what one task may add to all accumulators, encoded.
const MaxUpdateBytes = 1 << 20

// Update is what one task added to an accumulator. It travels to the driver with the
// task's success.
type Update struct {
	Accumulator int    `msgpack:"a"` // its number in the program's context
	Name        string `msgpack:"n"`
	Data        []byte `msgpack:"d"` // the encoded sum
}

// Accumulated is what a task has added to an accumulator so far.
type Accumulated interface {
	// Name returns the accumulator's name.
	Name() string
	// Append appends the encoded sum to dst.
	Append(dst []byte) ([]byte, error)
	// Restore makes it the sum that Append has encoded.
	Restore(sum []byte) error
}

// accumulated is an accumulator that the task has added to.
type accumulated struct {
	number int
	sum    Accumulated
}

// Accumulated returns what the task has added to the accumulator of the given number, nil
// if it hasn't added to it.
func (tc *Context) Accumulated(number int) Accumulated {
	for _, a := range tc.Own().accumulated { // few
		if a.number == number {
			return a.sum
		}
	}
	return nil
}

// Accumulate says that the task begins to add to an accumulator.
func (tc *Context) Accumulate(number int, sum Accumulated) {
	task := tc.Own()
	task.accumulated = append(task.accumulated, accumulated{number, sum})
}

// Updates returns what the task added to accumulators, in the order in which it began to.
// Who runs the task calls it at the task's end.
func (tc *Context) Updates() ([]Update, error) {
	var updates []Update
	size := 0
	for _, a := range tc.Own().accumulated {
		data, err := a.sum.Append(nil)
		if err != nil {
			return nil, fmt.Errorf("encoding what was added to the accumulator %q: %w", a.sum.Name(), err)
		}
		if size += len(data); size > MaxUpdateBytes {
			return nil, Permanent(fmt.Errorf("a task added more than %d bytes to accumulators, the last of them to %q: what is as large belongs in an RDD", MaxUpdateBytes, a.sum.Name()))
		}
		updates = append(updates, Update{a.number, a.sum.Name(), data})
	}
	return updates, nil
}
