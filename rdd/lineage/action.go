package lineage

import (
	"errors"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Action is what a result stage does: a function of partitions of the final RDD, whose
// encoded results reach the driver.
type Action struct {
	Final *Node
	// Partitions are those that are computed; nil stands for all.
	Partitions []int
	// Op and Site are what declared the action and where, for its errors.
	Op   string
	Site Site
	// Functions are the names (see [FuncName]) of the user's functions in it.
	Functions []string
	// Run computes a partition in a task and returns its result for the driver,
	// nil for none.
	Run func(tc *task.Context, partition int) ([]byte, error)
}

// GuardedRun is Run in a guard, see [Guard]: what panics outside of the fused
// operators is the action.
func (a Action) GuardedRun(tc *task.Context, partition int) (result []byte, err error) {
	err = guard(work{final: a.Final, end: a.end(), tc: tc}, func() (err error) {
		result, err = a.Run(tc, partition)
		return err
	})
	if own, ok := err.(actionError); ok {
		err = Attributed(own.error, a.Op, a.Site)
	}
	return result, err
}

// GuardedOnDriver runs functions of the user on the action's results, on the driver, in a
// guard: what panics is the action.
func (a Action) GuardedOnDriver(f func() error) error { return guard(work{end: a.end()}, f) }

// end returns the action as the last operator of a task, nil if it has no name.
func (a Action) end() *Node {
	if a.Op == "" {
		return nil
	}
	return &Node{Op: a.Op, Site: a.Site, Functions: a.Functions}
}

// actionError is an error of the action's own, not of the sequence that it read.
type actionError struct{ error }

// OfAction marks an error as the action's own, rather than one of the sequence that it
// read.
func OfAction(err error) error { return actionError{err} }

// Attributed returns an error of an operator's function with the operator and its
// place, unless it says already whose it is.
func Attributed(err error, op string, site Site) error {
	_, isOp := errors.AsType[*OpError](err)
	_, isPanic := errors.AsType[*PanicError](err)
	_, isFetch := errors.AsType[*task.FetchFailedError](err)
	if isOp || isPanic || isFetch || op == "" {
		return err
	}
	return &OpError{op, site, err}
}
