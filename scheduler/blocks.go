package scheduler

import (
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// StoredBlock says of a cached partition how an executor holds it.
type StoredBlock = block.Stored

// Blocks knows on the driver which executors hold which cached partitions (Spark's
// BlockManagerMaster). What it says may be out of date: an executor drops what it
// has no room for. It is safe for concurrent use.
type Blocks struct {
	mu    sync.Mutex
	rdds  map[lineage.ID]map[int32][]string // executors that hold a partition, the latest first; none is empty
	since uint64                            // batches before it are forgotten
}

// NewBlocks returns a registry of nothing.
func NewBlocks() *Blocks { return &Blocks{rdds: make(map[lineage.ID]map[int32][]string)} }

// Add takes in what an executor stored and dropped.
func (b *Blocks) Add(executor string, stored []StoredBlock) {
	if len(stored) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range stored {
		b.remove(executor, rddOf(s.Block), s.Block.Partition)
		id := rddOf(s.Block)
		if s.Level == 0 || id.Batch < b.since {
			continue
		}
		if b.rdds[id] == nil {
			b.rdds[id] = make(map[int32][]string)
		}
		b.rdds[id][s.Block.Partition] = slices.Insert(b.rdds[id][s.Block.Partition], 0, executor)
	}
}

// Remove says that an executor doesn't hold a partition.
func (b *Blocks) Remove(executor string, block task.Block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(executor, rddOf(block), block.Partition)
}

func (b *Blocks) remove(executor string, id lineage.ID, partition int32) {
	held := b.rdds[id]
	left := slices.DeleteFunc(held[partition], func(x string) bool { return x == executor })
	if len(left) > 0 {
		held[partition] = left
		return
	}
	if delete(held, partition); len(held) == 0 {
		delete(b.rdds, id)
	}
}

func rddOf(b task.Block) lineage.ID {
	return lineage.ID{Batch: b.Batch, DStream: b.DStream, Ordinal: b.Ordinal}
}

// RemoveAll says that an executor holds no partition of an RDD.
func (b *Blocks) RemoveAll(executor string, id lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.rdds[id] {
		b.remove(executor, id, p)
	}
}

// Lose says that an executor is gone.
func (b *Blocks) Lose(executor string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, held := range b.rdds {
		for p := range held {
			b.remove(executor, id, p)
		}
	}
}

// Drop forgets where an RDD is cached, for example since it is unpersisted. Jobs that
// are cut later compute it anew.
func (b *Blocks) Drop(id lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rdds, id)
}

// Forget drops the RDDs of the batches before until, for good.
func (b *Blocks) Forget(until uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = max(b.since, until)
	for id := range b.rdds {
		if id.Batch < b.since {
			delete(b.rdds, id)
		}
	}
}

// Whole reports whether all partitions of a cached RDD are held somewhere.
func (b *Blocks) Whole(n *lineage.Node) bool {
	if !n.Cached {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rdds[n.ID]) == n.Partitions
}

// Holders returns for each partition of an RDD the executor that stored it last, ""
// where none holds it; nil if none of it is held.
func (b *Blocks) Holders(n *lineage.Node) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.rdds[n.ID]
	if len(held) == 0 {
		return nil
	}
	all := make([]string, n.Partitions)
	for p, at := range held {
		if p >= 0 && int(p) < len(all) {
			all[p] = at[0]
		}
	}
	return all
}

// Len returns how many partitions are held, each once.
func (b *Blocks) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, held := range b.rdds {
		n += len(held)
	}
	return n
}

// nearest returns where the partitions of a stage's RDD are cached, or those of what
// they are computed from one by one; nil if nothing of that is known. Of several that a
// partition is computed from, most are at its holder; of as many, the newest. They are bound
// if the stage's tasks must go there.
func (b *Blocks) nearest(n *lineage.Node) (holders []string, bound bool) {
	var cached, pinned [][]string
	visited := map[*lineage.Node]bool{n: true}
	for walk := []*lineage.Node{n}; len(walk) > 0; {
		n := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if n.Cached {
			if at := b.Holders(n); at != nil {
				if n.Pinned {
					pinned = append(pinned, at)
				} else {
					cached = append(cached, at)
				}
				continue
			}
		}
		// Pushed from the last, so that dependencies are met in their order.
		for _, d := range slices.Backward(n.Deps) {
			if d, ok := d.(lineage.NarrowDependency); ok && d.IsOneToOne() && !visited[d.Parent] {
				visited[d.Parent] = true
				walk = append(walk, d.Parent)
			}
		}
	}
	if len(pinned) > 0 {
		return mostly(pinned), true
	}
	return mostly(cached), false
}

// mostly returns, for each partition, who holds it of most RDDs, of as many the one that holds
// it of the last; nil of none.
func mostly(held [][]string) []string {
	if len(held) < 2 {
		return slices.Concat(held...)
	}
	all := make([]string, len(held[0]))
	for p := range all {
		times := make(map[string]int)
		for _, at := range held {
			if p < len(at) && at[p] != "" {
				if times[at[p]]++; times[at[p]] >= times[all[p]] {
					all[p] = at[p]
				}
			}
		}
	}
	return all
}
