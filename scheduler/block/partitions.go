package block

import (
	"context"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Partitions are a store's blocks as tasks see them: kept partitions of RDDs. They
// implement task.Blocks.
type Partitions struct{ store *Store }

// Partitions returns the partitions of RDDs that the store keeps.
func (s *Store) Partitions() Partitions { return Partitions{s} }

// partition is a partition of an RDD as a value of the store.
type partition struct {
	task.Value
	disk *Disk
}

// Spill implements Value.
func (p partition) Spill() (Value, error) {
	v, err := p.Value.Spill(p.disk.NewRun)
	if err != nil {
		return nil, err
	}
	return partition{v, p.disk}, nil
}

// Compute implements task.Blocks.
func (p Partitions) Compute(ctx context.Context, b task.Block, l task.Level, compute func(task.Building) (task.Value, error)) (task.Value, bool, error) {
	v, kept, err := p.store.Compute(ctx, idOf(b), l, func(t *Task) (Value, error) {
		v, err := compute(t)
		if err != nil {
			return nil, err
		}
		return partition{v, p.store.disk}, nil
	})
	if err != nil {
		return nil, false, err
	}
	return v.(partition).Value, kept, nil
}

// Kept returns what is kept of a block, for other executors; nil for nothing.
func (p Partitions) Kept(b task.Block) task.Sendable {
	v, ok := p.store.Get(idOf(b))
	if !ok {
		return nil
	}
	sendable, _ := v.(partition).Value.(task.Sendable)
	return sendable
}

// Drop implements task.Blocks.
func (p Partitions) Drop(b task.Block) { p.store.Delete(idOf(b)) }

// Len returns how many partitions are kept.
func (p Partitions) Len() int {
	return p.store.Count(func(id ID) bool { _, is := id.Key.(task.Block); return is })
}

func idOf(b task.Block) ID { return ID{b.Batch, b} }
