package scheduler

import (
	"slices"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// StageKind tells what becomes of what a stage's tasks compute.
type StageKind uint8

const (
	// ShuffleMap stages leave blocks behind for the stages that read them.
	ShuffleMap StageKind = iota
	// Result stages answer to the driver.
	Result
)

// String returns the kind for people.
func (k StageKind) String() string {
	if k == Result {
		return "result"
	}
	return "shuffle-map"
}

// Stage is a set of tasks that run the same fused operators, one for each
// partition, and need no other task of the set.
type Stage struct {
	ID   int32 // see TaskID
	Kind StageKind
	// Node is the RDD that the stage's tasks compute: for a map stage the
	// shuffle's parent, for a result stage the action's final RDD.
	Node *lineage.Node
	// Shuffle is what a map stage writes, nil for a result stage.
	Shuffle    *lineage.ShuffleDependency
	Partitions int
	// Parents are the IDs of the map stages whose blocks this stage reads, each
	// once, in the order in which the lineage names them.
	Parents []int32
	// Cached are the RDDs whose partitions the tasks read where they are cached,
	// instead of computing them from what is above.
	Cached []*lineage.Node
	// Spare are the map stages above what is cached that the stage would read if it
	// weren't. Nobody runs for it, but what there is of their output saves a task that
	// finds a partition missing.
	Spare []int32
	// Keeps says that a task may read a cached partition where another executor holds it:
	// one of Cached, or one that it would keep itself.
	Keeps bool
	// Indeterminate says that another attempt of a task may yield other records,
	// so that a loss reruns the whole stage and all that read it.
	Indeterminate bool
	// Input is what the stage's partitions are read from, the same for every
	// batch: a partition prefers the executor that last had it.
	Input Input
}

// Input names a source, or the reading side of a shuffle, across batches.
type Input struct {
	DStream int32
	Ordinal int32
}

// Cut splits what an output's final RDD is derived from into stages, parents
// before the stages that read them and the result stage last. It depends on
// the lineage alone, and on what is cached: above an RDD that is cached whole, as
// stored says, there are no stages for its readers. A nil stored means that nothing
// is. Outputs of one batch that share a shuffle get equal map stages for it, if
// they see the same cached.
func Cut(output int, final *lineage.Node, stored func(*lineage.Node) bool) []Stage {
	if stored == nil {
		stored = nothing
	}
	c := &cutter{seen: make(map[int32]bool)}
	c.stored = func(n *lineage.Node) bool {
		c.keeps = c.keeps || isSent(n)
		return stored(n)
	}
	c.add(Stage{ID: ResultStage(output), Kind: Result, Node: final})
	return c.stages
}

// nothing is what is stored if nothing is.
func nothing(*lineage.Node) bool { return false }

// cutter collects stages.
type cutter struct {
	stored func(*lineage.Node) bool
	stages []Stage
	seen   map[int32]bool
	keeps  bool // a cached RDD was met that executors send each other
}

// add completes a stage and appends it, after the stages it reads.
func (c *cutter) add(s Stage) {
	c.seen[s.ID] = true
	s.Partitions, s.Indeterminate, s.Input = s.Node.Partitions, s.Node.Indeterminate, inputOf(s.Node)
	var shuffles []*lineage.ShuffleDependency
	c.keeps = isSent(s.Node)
	shuffles, s.Cached = inputsOf(s.Node, c.stored)
	s.Keeps = c.keeps
	for _, d := range shuffles {
		id := MapStage(d.ID)
		s.Parents = append(s.Parents, id)
		if !c.seen[id] {
			c.add(Stage{ID: id, Kind: ShuffleMap, Node: d.Parent, Shuffle: d})
		}
	}
	if len(s.Cached) > 0 {
		all, _ := inputsOf(s.Node, nothing)
		for _, d := range all {
			if !slices.Contains(shuffles, d) {
				s.Spare = append(s.Spare, MapStage(d.ID))
			}
		}
	}
	c.stages = append(c.stages, s)
}

// inputsOf returns the shuffles that a task computing n reads, and the cached RDDs,
// each once.
func inputsOf(n *lineage.Node, stored func(*lineage.Node) bool) (shuffles []*lineage.ShuffleDependency, cached []*lineage.Node) {
	if len(n.Deps) == 0 {
		return nil, nil
	}
	visited := map[*lineage.Node]bool{n: true}
	walk := []*lineage.Node{n}
	for len(walk) > 0 {
		n := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if n.Cached() && stored(n) {
			cached = append(cached, n)
			continue
		}
		// Pushed from the last, so that dependencies are met in their order.
		for _, dep := range slices.Backward(n.Deps) {
			if p := dep.ParentNode(); !isShuffle(dep) && !visited[p] {
				visited[p] = true
				walk = append(walk, p)
			}
		}
		for _, dep := range n.Deps {
			if d, ok := dep.(*lineage.ShuffleDependency); ok && !slices.Contains(shuffles, d) {
				shuffles = append(shuffles, d)
			}
		}
	}
	return shuffles, cached
}

// unsteady returns the indeterminate RDDs of its batch that a task computing n keeps: those
// of earlier batches, which are complete, stay what they are.
func unsteady(n *lineage.Node) (ids []lineage.ID) {
	batch := n.ID.Batch
	if n.Indeterminate {
		inputsOf(n, func(n *lineage.Node) bool {
			if n.Indeterminate && n.ID.Batch == batch {
				ids = append(ids, n.ID)
			}
			return false // and on to those above it
		})
	}
	return ids
}

func isShuffle(d lineage.Dependency) bool {
	_, ok := d.(*lineage.ShuffleDependency)
	return ok
}

// inputOf follows the narrow parents of n whose partitions are n's to where the
// partitions come from: of several, the first.
func inputOf(n *lineage.Node) Input {
	for p := samePartitions(n); p != nil; p = samePartitions(n) {
		n = p
	}
	return Input{DStream: n.ID.DStream, Ordinal: n.ID.Ordinal}
}

// samePartitions returns the first parent that is read partition by partition, nil if
// there is none.
func samePartitions(n *lineage.Node) *lineage.Node {
	for _, d := range n.Deps {
		if d, ok := d.(lineage.NarrowDependency); ok && d.IsOneToOne() {
			return d.Parent
		}
	}
	return nil
}
