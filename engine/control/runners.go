package control

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/control/state"
)

// runners are the runners of the jobs that run, on the node that leads.
type runners struct {
	n    *node
	ctx  context.Context // of the leadership
	work *sync.WaitGroup // in which they run

	mu    sync.Mutex
	byJob map[uint64]*driverRunner // by incarnation
}

func newRunners(ctx context.Context, n *node, work *sync.WaitGroup) *runners {
	return &runners{n: n, ctx: ctx, work: work, byJob: make(map[uint64]*driverRunner)}
}

// startMissing starts a runner for each job that runs and has none.
func (r *runners) startMissing() {
	if r.n.isDraining() {
		return
	}
	var live []uint64
	r.n.View(func(s *state.State) {
		for inc, j := range s.Jobs {
			if !j.State.Final() {
				live = append(live, inc)
			}
		}
	})
	slices.Sort(live)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, inc := range live {
		if r.byJob[inc] != nil {
			continue
		}
		d := &driverRunner{n: r.n, ctx: r.ctx, incarnation: inc, done: make(chan struct{})}
		r.byJob[inc] = d
		r.work.Go(func() {
			d.run()
			r.mu.Lock()
			delete(r.byJob, inc)
			r.mu.Unlock()
			close(d.done)
		})
	}
}

// all lists the runners.
func (r *runners) all() []*driverRunner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.byJob))
}

// of returns a job's runner, nil if there is none.
func (r *runners) of(incarnation uint64) *driverRunner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byJob[incarnation]
}
