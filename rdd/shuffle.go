package rdd

import (
	"context"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// ShuffleDependency says that every partition of the child needs records of
// every partition of the parent. It is where stages are cut: the parent's stage
// writes blocks, the child's reads them.
type ShuffleDependency struct {
	ID         int   // counts from 0 within the batch
	Parent     *Node // whose records are written
	Partitions int   // number of partitions on the reading side

	write  func(tc *TaskContext, partition int, w BlockWriter) error
	reader *Node // the operator whose shuffle it is
}

func (d *ShuffleDependency) parent() *Node { return d.Parent }

// Write computes one partition of the parent and writes its blocks, in a task.
// The same attempt of the same partition writes the same bytes.
func (d *ShuffleDependency) Write(tc *TaskContext, partition int, w BlockWriter) error {
	return d.write(tc, partition, countingWriter{tc, w})
}

// GuardedWrite is Write in a guard, see [Guard]: what panics outside of the fused
// operators is the shuffle's operator.
func (d *ShuffleDependency) GuardedWrite(tc *TaskContext, partition int, w BlockWriter) error {
	return guard(work{final: d.Parent, end: d.reader, tc: tc}, func() error { return d.Write(tc, partition, w) })
}

// countingWriter adds up what a task writes.
type countingWriter struct {
	tc *TaskContext
	to BlockWriter
}

func (w countingWriter) WriteBlock(reduce int, block []byte) error {
	w.tc.Metrics.ShuffleWritten += int64(len(block))
	return w.to.WriteBlock(reduce, block)
}

// shuffled makes the two sides of a shuffle: a dependency that write fills, and
// a node that compute reads.
func shuffled[U any](parent *Node, op string, site Site, partitions int, fns []string, partitioner Partitioner,
	write func(*TaskContext, int, BlockWriter) error,
	compute func(tc *TaskContext, shuffle, partition int) iter.Seq2[U, error],
) *RDD[U] {
	l := parent.lineage
	if partitions < 1 {
		l.Fail(&OpError{op, site, ErrPartitions})
		partitions = 1
	}
	d := &ShuffleDependency{ID: len(l.shuffles), Parent: parent, Partitions: partitions, write: write}
	n := l.add(&Node{
		Op: op, Site: site, Partitions: partitions, Deps: []Dependency{d}, Partitioner: partitioner,
		Indeterminate: parent.Indeterminate, fns: fns,
	})
	d.reader = n
	if l.frozen == "" {
		l.shuffles = append(l.shuffles, d)
	}
	return &RDD[U]{n, func(tc *TaskContext, p int) iter.Seq2[U, error] { return compute(tc, d.ID, p) }}
}

// blocks appends encoded records to one buffer for each reduce partition.
type blocks[T any] struct {
	codec encoding.Codec[T]
	bufs  [][]byte
}

func newBlocks[T any](codec encoding.Codec[T], partitions int) *blocks[T] {
	return &blocks[T]{codec, make([][]byte, partitions)}
}

func (b *blocks[T]) add(reduce int, v T) error {
	buf, err := b.codec.Append(b.bufs[reduce], v)
	b.bufs[reduce] = buf
	return err
}

func (b *blocks[T]) flush(w BlockWriter) error {
	for reduce, buf := range b.bufs {
		if len(buf) == 0 {
			continue
		}
		if err := w.WriteBlock(reduce, buf); err != nil {
			return fmt.Errorf("writing the block of partition %d: %w", reduce, err)
		}
	}
	return nil
}

// readBlocks yields the records of a reduce partition in the order of the map
// partitions that wrote them.
func readBlocks[T any](tc *TaskContext, codec encoding.Codec[T], shuffle, reduce int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for block, err := range tc.Shuffle.Blocks(tc, tc.Batch, shuffle, reduce) {
			if ends(yield, err) {
				return
			}
			tc.Metrics.ShuffleRead += int64(len(block))
			for len(block) > 0 {
				if tc.Killed() {
					ends(yield, context.Cause(tc))
					return
				}
				var v T
				if v, block, err = codec.Decode(block); err != nil {
					ends(yield, fmt.Errorf("%w: a block of shuffle %d for partition %d: %w", ErrEncoding, shuffle, reduce, err))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}
