package remote

import "sync"

// grant is how many slots the job has in an executor's process: its share, which changes as
// other jobs come and go.
//
// THREADING: mu is held while executor and scheduler are told, so that both hear last what
// is newest. Of other locks the outbox's is taken meanwhile.
type grant struct {
	mu    sync.Mutex
	share int // that the job has by what is known, 0 for all
	most  int // that the process has, 0 while it isn't ready
}

// begin tells how many slots a process has for the job that is ready and has so many.
func (g *grant) begin(most int, tell func(slots int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = most
	tell(g.slots())
}

// change takes the job's share, and tells it while the process is ready.
func (g *grant) change(share int, tell func(slots int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.slots()
	if g.share = share; g.most > 0 && g.slots() != before {
		tell(g.slots())
	}
}

// end notes that the process isn't ready any more.
func (g *grant) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = 0
}

// slots is called with mu held.
func (g *grant) slots() int {
	if g.share < 1 {
		return g.most
	}
	return min(g.share, g.most)
}
