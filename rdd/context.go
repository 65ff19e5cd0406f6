package rdd

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Context is where RDDs are made: that of a micro-batch, which Transform's batch gives,
// or of a batch program. RDDs of one context can be joined with each other.
type Context struct {
	lineage *lineage.Lineage
	runner  Runner

	broadcasts   int // how many there are
	accumulators []accumulator

	checkpointDir string
}

// Runner computes actions on behalf of a copy of a program, and what else the copies of
// a program must see alike.
type Runner interface {
	// Run computes an action and returns what it returned for each of its partitions,
	// in their order.
	Run(a lineage.Action) ([][]byte, error)
	// MaxResultBytes is how many bytes one action may bring to the program.
	MaxResultBytes() int
	// Value returns what compute returns, which is called in one copy of the program
	// only, the driver's: the others are given its result, or its error.
	Value(site lineage.Site, compute func() ([]byte, error)) ([]byte, error)
	// OnDriver calls f in the driver's copy of the program and does nothing in others.
	OnDriver(site lineage.Site, f func() error) error
}

// NewContext returns the context in which RDDs are added to a lineage. Without a runner
// its actions are errors. Package engine makes contexts; programs are given one.
func NewContext(l *lineage.Lineage, r Runner) *Context { return &Context{lineage: l, runner: r} }

// Runner returns who computes the context's actions, nil if nobody does: package engine
// knows its programs by it.
func (sc *Context) Runner() Runner { return sc.runner }

// Lineage returns the list of the context's RDDs without their elements.
func (sc *Context) Lineage() *lineage.Lineage { return sc.lineage }

// DefaultParallelism returns the number of partitions of shuffles that name none.
func (sc *Context) DefaultParallelism() int { return sc.lineage.Parallelism() }

// ready returns an error if an action can't be computed: there is nobody to do it, or the
// program is in error already.
func (sc *Context) ready(action string, site lineage.Site) error {
	if sc.runner == nil {
		return &OpError{Op: action, Site: site, Err: ErrNoActions}
	}
	return sc.lineage.Err()
}

// run computes an action and adds what its tasks added to accumulators.
func (sc *Context) run(a lineage.Action) ([][]byte, error) {
	if err := sc.ready(a.Op, a.Site); err != nil {
		return nil, err
	}
	runner, ok := sc.runner.(AccumulatingRunner)
	if !ok {
		return sc.runner.Run(a)
	}
	results, updates, err := runner.RunAccumulating(a)
	if err == nil {
		if err = sc.accumulate(updates); err != nil {
			err = &OpError{Op: a.Op, Site: a.Site, Err: err}
		}
	}
	return results, err
}

// maxResultBytes returns how many bytes an action may bring to the program.
func (sc *Context) maxResultBytes() int {
	if sc.runner == nil {
		return 0
	}
	return sc.runner.MaxResultBytes()
}

// op is an operator that is being declared.
type op struct {
	sc        *Context
	name      string
	site      lineage.Site
	functions []string // names of the user's
}

// op returns the operator of the given name that the program has called with functions.
// None of them may be nil.
func (sc *Context) op(name string, functions ...any) op {
	o := op{sc: sc, name: name, site: sc.lineage.Site(), functions: make([]string, len(functions))}
	for i, f := range functions {
		if o.functions[i] = lineage.FuncName(f); o.functions[i] == "" {
			o.fail(ErrNilFunction)
		}
	}
	return o
}

// error returns an error of the operator.
func (o op) error(err error) error { return &OpError{Op: o.name, Site: o.site, Err: err} }

// fail records that the operator can't be built; nil is no failure.
func (o op) fail(err error) {
	if err != nil {
		o.sc.lineage.Fail(o.error(err))
	}
}

// partitions returns a number of partitions that the program gave, 1 after an error.
func (o op) partitions(n int) int {
	if n < 1 || n > MaxPartitions {
		o.fail(fmt.Errorf("%w, not %d", ErrPartitions, n))
		return 1
	}
	return n
}

// made returns the RDD that the operator makes: of so many partitions, from deps.
//
//go:noinline
func made[T any](o op, partitions int, deps []lineage.Dependency, compute computeFunc[T]) *RDD[T] {
	if partitions > MaxPartitions {
		o.fail(fmt.Errorf("%w, not %d", ErrPartitions, partitions))
		partitions = 1
	}
	n := o.sc.lineage.Add(&lineage.Node{Op: o.name, Site: o.site, Partitions: partitions, Deps: deps, Functions: o.functions})
	return &RDD[T]{sc: o.sc, node: n, compute: compute}
}

// within returns an argument of the operator, or an RDD without partitions in its place
// if it is none or of another context.
//
//go:noinline
func within[T any](o op, argument int, r *RDD[T]) *RDD[T] {
	switch {
	case r == nil || r.node == nil:
		o.fail(fmt.Errorf("argument %d: %w", argument, ErrNil))
	case r.node.Lineage() != o.sc.lineage:
		o.fail(ErrForeign)
	default:
		return r
	}
	return Source[T](o.sc, o.name, o.site, 0, nil)
}

// opAt returns an operator that was called at a place that is known.
func opAt(sc *Context, name string, site lineage.Site) op { return op{sc: sc, name: name, site: site} }
