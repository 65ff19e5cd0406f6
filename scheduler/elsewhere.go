package scheduler

import (
	"slices"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// HeldBlocks are cached partitions that an executor holds.
type HeldBlocks struct {
	Executor string       `msgpack:"x"`
	Blocks   []task.Block `msgpack:"b"`
}

// isSent reports whether executors send each other the cached partitions of an RDD. Not
// those of states, to which tasks go; nor those that another attempt may make otherwise,
// since one that is to be dropped may still be at an executor which hasn't heard of that.
func isSent(n *lineage.Node) bool { return n.Cached() && !n.Pinned() && !n.Indeterminate }

// maxElsewhere bounds the cached partitions that a task is told of. Others are computed.
const maxElsewhere = 1 << 16

// maxAsked bounds how many executors a task may ask for a cached partition, one after the
// other.
const maxAsked = 2

// elsewhere returns the cached partitions from which a task on an executor would compute a
// partition of n if it had them, as far as that executor holds none and others do. Above
// one that it holds or is sent nothing is looked for.
func (b *Blocks) elsewhere(executor string, n *lineage.Node, partition int) (all []HeldBlocks) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rdds) == 0 {
		return nil
	}
	type part struct {
		n *lineage.Node
		p int
	}
	found := 0
	seen := map[part]struct{}{{n, partition}: {}}
	for walk := []part{{n, partition}}; len(walk) > 0 && found < maxElsewhere; {
		at := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if at.n.Cached() {
			holders := b.rdds[at.n.ID][int32(at.p)]
			here := slices.Contains(holders, executor)
			sent := !here && len(holders) > 0 && isSent(at.n)
			if sent {
				for _, holder := range holders[:min(len(holders), maxAsked)] {
					all = addHeld(all, holder, blockOf(at.n, at.p))
					found++
				}
			}
			if here || sent {
				continue
			}
		}
		for _, d := range at.n.Deps {
			d, ok := d.(lineage.NarrowDependency)
			if !ok {
				continue
			}
			for from, until := d.Range(at.p); from < until; from++ {
				next := part{d.Parent, from}
				if _, known := seen[next]; !known {
					seen[next] = struct{}{}
					walk = append(walk, next)
				}
			}
		}
	}
	return all
}

func addHeld(all []HeldBlocks, executor string, b task.Block) []HeldBlocks {
	i := slices.IndexFunc(all, func(h HeldBlocks) bool { return h.Executor == executor })
	if i < 0 {
		i, all = len(all), append(all, HeldBlocks{Executor: executor})
	}
	all[i].Blocks = append(all[i].Blocks, b)
	return all
}

// blockOf names a partition of an RDD of which isSent.
func blockOf(n *lineage.Node, partition int) task.Block {
	return task.Block{Batch: n.ID.Batch, DStream: n.ID.DStream, Ordinal: n.ID.Ordinal, Partition: int32(partition)}
}
