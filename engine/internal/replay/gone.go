package replay

import (
	"runtime"
	"sync"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Gone is what nobody needs any more of what executors keep.
type Gone struct {
	Shuffles []int   `msgpack:"s"` // that the program can't refer to
	Cached   []int32 `msgpack:"c"` // ordinals of RDDs that it can't refer to, or has unpersisted
}

// gone notices that the driver's program can't refer to a shuffle or a cached RDD any
// more, so that executors can drop what they keep of it. Copies of one program refer to
// the same.
//
// THREADING: watch and take belong to the driver; the runtime notes what is gone
// under mu.
type gone struct {
	unswept int // of what is watched, what came since the garbage was last collected on its account

	mu   sync.Mutex
	gone Gone
}

// maxUnswept is after how many shuffles and cached RDDs the garbage is collected: a driver
// may have little of its own, and executors much.
const maxUnswept = 64

// watch begins to watch the shuffles that were made and the RDDs that were cached. What
// was unpersisted is gone.
func (g *gone) watch(made *lineage.Lineage) {
	for _, s := range made.Shuffles() {
		runtime.AddCleanup(s, g.noteShuffle, s.ID)
	}
	for _, n := range made.Cached() {
		runtime.AddCleanup(n, g.noteCached, n.ID.Ordinal)
	}
	for _, id := range made.Uncached() {
		g.noteCached(id.Ordinal)
	}
	g.unswept += len(made.Shuffles()) + len(made.Cached())
	if g.unswept >= maxUnswept {
		g.unswept = 0
		runtime.GC()
	}
}

// noteShuffle is called by the runtime.
func (g *gone) noteShuffle(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone.Shuffles = append(g.gone.Shuffles, id)
}

// noteCached is called by the runtime too.
func (g *gone) noteCached(ordinal int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone.Cached = append(g.gone.Cached, ordinal)
}

// take returns what is gone since the last call.
func (g *gone) take() Gone {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.gone
	g.gone = Gone{}
	return all
}
