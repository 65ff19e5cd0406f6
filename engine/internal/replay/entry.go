package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Format is the version of Entry's encoding.
const Format = 1

// Entry is what the driver tells the other copies of the program of one of its steps.
// It has come to it, or it is done: one of Begun and Result is set.
type Entry struct {
	Format int     `msgpack:"v"`
	Step   uint64  `msgpack:"n"` // counts from 1
	Begun  *Step   `msgpack:"b"`
	Result *Result `msgpack:"r"`
	Gone   Gone    `msgpack:"g"` // with Begun
}

// size returns about how many bytes an entry takes.
func (e *Entry) size() int {
	size := 128
	if e.Begun != nil {
		for _, line := range e.Begun.Lines {
			size += len(line)
		}
	}
	if e.Result != nil {
		for _, part := range e.Result.Parts {
			size += len(part)
		}
		for _, u := range e.Result.Updates {
			size += len(u.Data)
		}
	}
	return size
}

// Step says what a copy of the program has made since the step before, and what it asks
// for now. Copies of one program have equal steps.
type Step struct {
	Lines []string `msgpack:"l"` // a line for each RDD, and one for the step
}

// Result is what came of a step.
type Result struct {
	Parts   [][]byte      `msgpack:"p"` // of an action's partitions, or a value
	Updates []task.Update `msgpack:"u"` // what the action's tasks added to accumulators
	Failure *Failure      `msgpack:"f"`
}

// Failure is why a step failed. It is the error that all copies of the program are given,
// the driver's too, so that they go on alike: it has nothing in it that doesn't travel.
type Failure struct {
	Message  string `msgpack:"m"`
	TooLarge bool   `msgpack:"t"` // it says rdd.ErrResultTooLarge
}

// Error returns the cause.
func (f *Failure) Error() string { return f.Message }

// Is reports what the failure says.
func (f *Failure) Is(target error) bool { return f.TooLarge && target == rdd.ErrResultTooLarge }

// values returns the result as the program is given it.
func (r *Result) values() ([][]byte, []task.Update, error) {
	if r.Failure != nil {
		return nil, nil, r.Failure
	}
	return r.Parts, r.Updates, nil
}

// theValue returns the only part of a value's result.
func theValue(parts [][]byte, _ []task.Update, err error) ([]byte, error) {
	if err == nil && len(parts) != 1 {
		err = fmt.Errorf("%w: a value of %d parts", plan.ErrDiverged, len(parts))
	}
	if err != nil {
		return nil, err
	}
	return parts[0], nil
}

// first returns an action's result without what its tasks added up.
func first(parts [][]byte, _ []task.Update, err error) ([][]byte, error) { return parts, err }

// actionStep returns the step of an action.
func actionStep(made *lineage.Lineage, a lineage.Action) *Step {
	line := fmt.Sprintf("action %s at %s of %d.%d", a.Op, a.Site, a.Final.ID.DStream, a.Final.ID.Ordinal)
	if a.Partitions != nil {
		line += fmt.Sprintf(", partitions %v", a.Partitions)
	}
	if len(a.Functions) > 0 {
		line += ", " + strings.Join(a.Functions, ", ")
	}
	return &Step{Lines: append(made.Describe(), line)}
}

// valueStep returns the step of a value.
func valueStep(made *lineage.Lineage, site lineage.Site) *Step {
	return &Step{Lines: append(made.Describe(), fmt.Sprintf("value at %s", site))}
}

// equal reports whether two copies of the program have come to one step alike.
func (s *Step) equal(o *Step) bool { return slices.Equal(s.Lines, o.Lines) }
