// Package rddtest evaluates RDDs in one goroutine: what every backend must return. Tests
// and examples that need no cluster use it.
package rddtest

import (
	"bytes"
	"context"
	"iter"
	"maps"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// MaxResultBytes is how many bytes an action may return.
const MaxResultBytes = 64 << 20

// NewContext returns a context whose actions are evaluated at once. parallelism is the
// number of partitions of shuffles that name none.
func NewContext(parallelism int) *rdd.Context { return newBatch(0, parallelism) }

// NewBatch returns the context of a micro-batch with the given sequence number.
func NewBatch(seq uint64, parallelism int) *rdd.Context { return newBatch(seq, parallelism) }

func newBatch(seq uint64, parallelism int) *rdd.Context {
	return rdd.NewContext(lineage.NewLineage(seq, parallelism), NewReference())
}

// Reference evaluates RDDs: map tasks before the tasks that read them, each once. It
// implements rdd.AccumulatingRunner, rdd.BroadcastingRunner and task.ShuffleReader.
type Reference struct {
	blocks  map[[2]int][][]byte // by shuffle and reduce partition, in map order
	done    map[int]bool        // shuffles
	updates []task.Update       // of the tasks since the last action
	cache   task.Cache
	process task.Process
}

// NewReference returns an evaluator that has evaluated nothing.
func NewReference() *Reference {
	return &Reference{blocks: make(map[[2]int][][]byte), done: make(map[int]bool)}
}

// Run implements rdd.Runner.
func (e *Reference) Run(a lineage.Action) ([][]byte, error) {
	results, _, err := e.RunAccumulating(a)
	return results, err
}

// RunAccumulating implements rdd.AccumulatingRunner.
func (e *Reference) RunAccumulating(a lineage.Action) ([][]byte, []task.Update, error) {
	e.updates = nil
	if err := e.Prepare(a.Final); err != nil {
		return nil, nil, err
	}
	partitions := a.Partitions
	if partitions == nil {
		for p := range a.Final.Partitions {
			partitions = append(partitions, p)
		}
	}
	results := make([][]byte, len(partitions))
	for i, p := range partitions {
		tc := e.Task(a.Final, p)
		var err error
		if results[i], err = a.GuardedRun(tc, p); err == nil {
			err = e.ended(tc)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return results, e.updates, nil
}

// ended keeps what a task added to accumulators.
func (e *Reference) ended(tc *task.Context) error {
	updates, err := tc.Updates()
	e.updates = append(e.updates, updates...)
	return err
}

// Broadcast implements rdd.BroadcastingRunner: there is one process only.
func (e *Reference) Broadcast(_ rdd.Declared, encode func() ([]byte, error)) (func() ([]byte, error), error) {
	encoded, err := encode()
	return func() ([]byte, error) { return encoded, nil }, err
}

// MaxResultBytes implements rdd.Runner.
func (e *Reference) MaxResultBytes() int { return MaxResultBytes }

// Prepare runs the map tasks that an RDD needs and that haven't run.
func (e *Reference) Prepare(n *lineage.Node) error {
	for _, d := range n.Deps {
		if err := e.Prepare(d.ParentNode()); err != nil {
			return err
		}
		s, ok := d.(*lineage.ShuffleDependency)
		if !ok || e.done[s.ID] {
			continue
		}
		if err := e.write(s); err != nil {
			maps.DeleteFunc(e.blocks, func(k [2]int, _ [][]byte) bool { return k[0] == s.ID })
			return err
		}
		e.done[s.ID] = true
	}
	return nil
}

// write runs the map tasks of a shuffle.
func (e *Reference) write(s *lineage.ShuffleDependency) error {
	for p := range s.Parent.Partitions {
		tc := e.Task(s.Parent, p)
		if err := s.GuardedWrite(tc, p, blockWriter{e, s.ID}); err != nil {
			return err
		}
		if err := e.ended(tc); err != nil {
			return err
		}
	}
	return nil
}

// Task returns the context of a task that computes a partition.
func (e *Reference) Task(n *lineage.Node, partition int) *task.Context {
	return &task.Context{
		Context: context.Background(), Batch: n.ID.Batch, Partition: partition,
		Shuffle: e, Cache: &e.cache, Slot: &task.Slot{}, Process: &e.process,
	}
}

// Blocks implements task.ShuffleReader.
func (e *Reference) Blocks(_ context.Context, _ uint64, shuffle, reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range e.blocks[[2]int{shuffle, reduce}] {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// blockWriter files the blocks of one map task.
type blockWriter struct {
	e       *Reference
	shuffle int
}

func (w blockWriter) WriteBlock(reduce int, block []byte) error {
	k := [2]int{w.shuffle, reduce}
	w.e.blocks[k] = append(w.e.blocks[k], bytes.Clone(block))
	return nil
}

// Glom returns the elements of each partition of an RDD.
func Glom[T any](r *rdd.RDD[T]) ([][]T, error) {
	if err := r.Context().Lineage().Err(); err != nil {
		return nil, err
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, err
	}
	results, err := NewReference().Run(rdd.CollectAction(r, "collect", codec, -1, MaxResultBytes))
	if err != nil {
		return nil, err
	}
	out := make([][]T, len(results))
	for p, b := range results {
		if out[p], err = rdd.DecodeRows(codec, [][]byte{b}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
