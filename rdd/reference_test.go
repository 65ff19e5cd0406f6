package rdd_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
)

// reference evaluates an RDD in one goroutine, map stages first: what every
// backend must return.
type reference struct {
	lineage *rdd.Lineage
	blocks  map[[2]int][][]byte // by shuffle and reduce partition, in map order
	done    map[int]bool
}

func newReference(l *rdd.Lineage) *reference {
	return &reference{l, map[[2]int][][]byte{}, map[int]bool{}}
}

func (e *reference) Blocks(_ context.Context, _ uint64, shuffle, reduce int) iter.Seq2[[]byte, error] {
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
	e       *reference
	shuffle int
}

func (w blockWriter) WriteBlock(reduce int, block []byte) error {
	k := [2]int{w.shuffle, reduce}
	w.e.blocks[k] = append(w.e.blocks[k], block)
	return nil
}

func (e *reference) context(p int) *rdd.TaskContext {
	return &rdd.TaskContext{Context: context.Background(), Partition: p, Shuffle: e, Cache: &rdd.Cache{}, Slot: &rdd.Slot{}, Process: &rdd.Process{}}
}

// prepare runs the map stages that n needs.
func (e *reference) prepare(n *rdd.Node) error {
	for _, d := range n.Deps {
		if err := e.prepare(rdd.ParentOf(d)); err != nil {
			return err
		}
		s, ok := d.(*rdd.ShuffleDependency)
		if !ok || e.done[s.ID] {
			continue
		}
		e.done[s.ID] = true
		for p := range s.Parent.Partitions {
			if err := s.Write(e.context(p), p, blockWriter{e, s.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// glom returns the elements of each partition.
func glom[T any](r *rdd.RDD[T]) ([][]T, error) {
	if err := r.Lineage().Err(); err != nil {
		return nil, err
	}
	e := newReference(r.Lineage())
	if err := e.prepare(r.Node()); err != nil {
		return nil, err
	}
	rows, err := rdd.NewRows[T]()
	if err != nil {
		return nil, err
	}
	action := rows.Collect(r, -1, 1<<20)
	out := make([][]T, r.Node().Partitions)
	for p := range out {
		b, err := action.Run(e.context(p), p)
		if err != nil {
			return nil, err
		}
		if out[p], err = rows.Decode([][]byte{b}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// check compares an RDD's partitions with what is expected.
func check[T any](t *testing.T, r *rdd.RDD[T], want [][]T) {
	t.Helper()
	got, err := glom(r)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

// flat returns all elements in partition order.
func flat[T any](t *testing.T, r *rdd.RDD[T]) []T {
	t.Helper()
	got, err := glom(r)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(got...)
}
