package rdd

import (
	"errors"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// LocalCheckpoint computes the RDD, has the executors that computed them keep its partitions
// at [MemoryAndDisk], and returns an RDD that reads them there, or from there: what it was
// made from is no part of it any more and may be forgotten. Rounds that build on each other
// neither grow in lineage nor write files for others, as with [RDD.Checkpoint]. Like that
// it is an action, so unlike Spark's it has been kept when LocalCheckpoint returns.
// Partitions, their order and the partitioner are kept. r needn't be cached for it, which
// would keep everything twice.
//
// It doesn't survive executors: a partition is lost with the executor that had it, unless
// another one has fetched it, and if there is no room on its disk. The action that needs it
// fails then. An executor that the driver has lost the connection to counts as lost until it
// is connected again; one that can't send a partition makes the task that asks it fail, also
// if another one has a copy. A program that is to live through that uses Checkpoint. An
// indeterminate RDD is an error: a task of it that ran twice may have left two versions of a
// partition.
func (r *RDD[T]) LocalCheckpoint() (*RDD[T], error) {
	o, err := begin(r, "localCheckpoint")
	if err != nil {
		return nil, err
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	if r.node.Indeterminate {
		return nil, o.error(fmt.Errorf("%w: the RDD is indeterminate, so executors may keep versions that differ; use Checkpoint", ErrCheckpoint))
	}
	out := keepingPartitioner(made(o, r.node.Partitions, nil, lost[T](o)), r)
	out.onlyKept = true
	out.storage.Store(&storage[T]{MemoryAndDisk, codec})
	r.sc.lineage.Cache(out.node, false)
	_, err = r.sc.run(o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		return nil, out.put(tc, p, func() iter.Seq2[T, error] { return r.Compute(tc, p) })
	}))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// errNotPut is the error of a partition that was computed and isn't kept.
var errNotPut = errors.New("the executor's local disk didn't take it")

// put keeps a partition of what from returns.
func (r *RDD[T]) put(tc *task.Context, partition int, from func() iter.Seq2[T, error]) (failed error) {
	r.keepFrom(tc, partition, func(func() bool) iter.Seq2[T, error] { return from() })(func(_ T, err error) bool {
		failed = err
		return false // it is there by now
	})
	if failed != nil {
		return failed
	}
	_, _, err := tc.Cache.Compute(tc, r.block(partition), MemoryAndDisk, func(task.Building) (task.Value, error) { return nil, errNotPut })
	if err != nil {
		return fmt.Errorf("keeping partition %d: %w", partition, err)
	}
	return nil
}

// lost computes no partition of a local checkpoint: there is nothing to compute it from.
// Another attempt may find it, when an executor that kept it is connected again.
func lost[T any](o op) computeFunc[T] {
	return func(_ *task.Context, partition int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			ends(yield, o.error(fmt.Errorf("%w: no executor is known to have partition %d: the one that kept it, or the connection to it, is lost, or its disk was full, or the RDD was unpersisted; use Checkpoint for one that survives executors", ErrCheckpoint, partition)))
		}
	}
}

// unread is the error of a partition of a local checkpoint that another executor should
// have. Another attempt may find it there.
func unread(n *lineage.Node, err error) error {
	return &OpError{Op: n.Op, Site: n.Site, Err: fmt.Errorf("%w: %w; use Checkpoint for one that survives executors", ErrCheckpoint, err)}
}
