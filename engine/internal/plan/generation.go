package plan

import (
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Generation is the making of one batch's RDDs from its allocation. A batch that reaches
// back makes RDDs of earlier batches too, each from the allocation of its own batch:
// [Generation.Within] returns the generations in which that is done. They share lineage
// and context with the batch's.
type Generation struct {
	Alloc   *Allocation
	RDDs    *rdd.Context     // in which they are made
	Lineage *lineage.Lineage // that of RDDs
	Memo    map[int32]any    // *rdd.RDD[T] by stream id
	Actions []lineage.Action // of the batch's outputs, then what saves its states; none has a Final where its stream has no RDD in the batch

	history *History
	begin   Begin                  // of the root
	root    *Generation            // that of the batch itself
	batches map[uint64]*Generation // by seq, of the batch and those it reached back to
}

// newGeneration returns the generation of a batch, before anything is made.
func newGeneration(a *Allocation, h *History, parallelism int) *Generation {
	made := lineage.NewLineage(a.Seq, parallelism)
	g := &Generation{
		Alloc: a, RDDs: rdd.NewContext(made, nil), Lineage: made, Memo: make(map[int32]any),
		history: h, batches: make(map[uint64]*Generation),
	}
	g.root, g.batches[a.Seq] = g, g
	return g
}

// of returns the generation of the batch of an allocation, within g's.
func (g *Generation) of(a *Allocation) *Generation {
	if there := g.batches[a.Seq]; there != nil {
		return there
	}
	past := &Generation{Alloc: a, RDDs: g.RDDs, Lineage: g.Lineage, Memo: make(map[int32]any), history: g.history, root: g.root, batches: g.batches}
	g.batches[a.Seq] = past
	return past
}

// Made is [History.Made] for the generation's batch.
func (g *Generation) Made(stream int32, f func() any) any { return g.history.Made(g.Alloc, stream, f) }

// Before returns the generation of the batch before g's, nil if g's is the job's first, or
// the first that is known of a job whose program has changed.
// What isn't known of the past is an error of the lineage.
func (g *Generation) Before() *Generation {
	if g.Alloc.Seq <= g.root.Alloc.Begins {
		return nil
	}
	a, err := g.history.Before(g.Alloc)
	if err != nil {
		g.missing(g.Alloc.Seq-1, err)
	}
	if a == nil {
		return nil
	}
	return g.of(a)
}

// missing makes it an error of the lineage that a batch isn't known, once.
func (g *Generation) missing(seq uint64, err error) {
	if _, said := g.batches[seq]; !said {
		g.batches[seq] = nil
		g.Lineage.Fail(err)
	}
}

// Previous returns the generation of the last batch before g's in which a stream that
// slides so has an RDD, nil if there is none.
func (g *Generation) Previous(slide time.Duration) *Generation {
	p := g.Before()
	for p != nil && !p.Due(slide) {
		p = p.Before()
	}
	return p
}

// PreviousOf returns what Previous does if a state had begun by then.
func (g *Generation) PreviousOf(state string, slide time.Duration) *Generation {
	p := g.Previous(slide)
	if s := g.root.Alloc.State(state); p != nil && s != nil && p.Alloc.Seq < s.Begins {
		return nil
	}
	return p
}

// Checkpoint returns the newest checkpoint of a state up to g's batch that the batch being
// generated knows, nil if there is none. begins reports whether the state is made from it,
// and it is of g's batch.
func (g *Generation) Checkpoint(state string) (c *Checkpoint, begins bool) {
	c = g.root.Alloc.State(state).Newest(g.Alloc.Seq)
	from := g.root.begin.Checkpoints[state]
	return c, from != nil && from.Seq == g.Alloc.Seq
}

// IsRoot reports whether g is the generation of the batch itself, not of one that it
// reaches back to.
func (g *Generation) IsRoot() bool { return g.root == g }

// Within returns the generations of the batches of the last length of time up to and with
// g's, the oldest first: those with times in (t-length, t].
func (g *Generation) Within(length time.Duration) []*Generation {
	var window []*Generation
	for p := g; p != nil && p.Alloc.TimeNanos > g.Alloc.TimeNanos-int64(length); p = p.Before() {
		window = append(window, p)
	}
	slices.Reverse(window)
	return window
}

// Due reports whether a stream that slides so has an RDD in the generation's batch.
func (g *Generation) Due(slide time.Duration) bool { return OnSlide(g.Alloc.Time(), slide) }

// OnSlide reports whether a time is a multiple of a slide; 0 stands for every batch.
func OnSlide(at time.Time, slide time.Duration) bool { return at.Truncate(slide).Equal(at) }
