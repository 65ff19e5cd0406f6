package replay

import (
	"runtime"
	"sync"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// gone notices that the driver's program can't refer to a shuffle any more, so that
// executors can drop what they keep of it. Copies of one program refer to the same.
//
// THREADING: watch and take belong to the driver; the runtime notes what is gone
// under mu.
type gone struct {
	unswept int // shuffles made since the garbage was last collected on their account

	mu  sync.Mutex
	ids []int
}

// maxUnswept is after how many shuffles the garbage is collected: a driver may have
// little of its own, and executors much.
const maxUnswept = 64

// watch begins to watch the shuffles that were made.
func (g *gone) watch(made *lineage.Lineage) {
	for _, s := range made.Shuffles() {
		runtime.AddCleanup(s, g.note, s.ID)
		g.unswept++
	}
	if g.unswept >= maxUnswept {
		g.unswept = 0
		runtime.GC()
	}
}

// note is called by the runtime.
func (g *gone) note(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids = append(g.ids, id)
}

// take returns the shuffles that are gone since the last call.
func (g *gone) take() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := g.ids
	g.ids = nil
	return ids
}
