package engine

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hibana-engine/hibana/engine/modelstore"
)

// modelRegistry decides, on the driver, which version of each model batches are
// planned with. A version becomes current when it is in the store, every
// executor that is there has loaded it, and the history says so; the allocations
// carry it from there.
//
// THREADING: after open all methods are safe for concurrent use. publishing holds
// a token while nobody brings in a version for the user. tidy is a goroutine of
// driver.run. mu is never held while the store or executors are asked; a
// modelState's writing, disk and holding are taken before it.
type modelRegistry struct {
	nodes    []*modelNode
	store    *modelstore.Store // nil: there are only versions that the program carries
	executor modelExecutor
	retained int
	log      *slog.Logger

	publishing chan struct{}
	ended      chan struct{} // closed when the stream is over and nothing can be published any more
	untidy     chan struct{} // holds a token when tidy has something to do

	models map[string]*modelState // by name; the map never changes after open

	disk    sync.Mutex // held while a version is written or deleted
	holding sync.Mutex
	told    []ModelPin // what executors were told last; guarded by holding

	mu     sync.Mutex
	flying map[uint64][]ModelPin // of the batches that are planned and not complete
	landed chan struct{}         // closed and replaced when a batch is complete
	coming map[ModelPin]int      // how often it is being brought in
	stored map[ModelPin]bool     // in the store, as far as this driver knows
}

// modelExecutor is what the registry needs of the executors.
type modelExecutor interface {
	// Hold says which versions executors are to have, in place of what was said
	// before. It doesn't wait.
	Hold(pins []ModelPin)
	// AwaitModel waits until all executors that are there have a version of those
	// that they are to hold; an error says which can't load it, and why.
	AwaitModel(ctx context.Context, p ModelPin) error
}

// modelState is one model's.
type modelState struct {
	node    *modelNode
	history modelstore.History // guarded by the registry's mu

	writing sync.Mutex
	journal *modelstore.Journal // guarded by writing; nil without a store
}

func newModelRegistry(nodes []*modelNode, store *modelstore.Store, executor modelExecutor, retained int, log *slog.Logger) *modelRegistry {
	r := &modelRegistry{
		nodes: nodes, store: store, executor: executor, retained: retained, log: log,
		publishing: make(chan struct{}, 1), ended: make(chan struct{}), untidy: make(chan struct{}, 1),
		models: make(map[string]*modelState), flying: make(map[uint64][]ModelPin), landed: make(chan struct{}),
		coming: make(map[ModelPin]int), stored: make(map[ModelPin]bool),
	}
	r.publishing <- struct{}{}
	return r
}

// open takes over where the driver before left off, and waits until the
// executors have the versions that are needed now. durable says that the program
// may be started again with another file.
func (r *modelRegistry) open(ctx context.Context, epoch uint64, incomplete []PendingBatch, durable bool) error {
	for _, n := range r.nodes {
		s, err := r.openModel(ctx, n, epoch, durable)
		if err != nil {
			return err
		}
		r.models[n.name] = s
	}
	for _, p := range incomplete {
		r.flying[p.Allocation.Seq] = p.Allocation.Models
	}
	r.hold()
	for _, p := range r.told {
		if err := r.executor.AwaitModel(ctx, p); err != nil {
			return err
		}
	}
	r.wakeTidy()
	return nil
}

// openModel reads a model's history. A program that carries another file than
// the one before it wants that used.
func (r *modelRegistry) openModel(ctx context.Context, n *modelNode, epoch uint64, durable bool) (*modelState, error) {
	s := &modelState{node: n, history: modelstore.History{Current: n.carried, Carried: n.carried}}
	if r.store == nil {
		return s, nil
	}
	j, h, err := r.store.OpenJournal(ctx, n.name, epoch)
	if err != nil {
		return nil, err
	}
	s.journal = j
	versions, err := r.store.Versions(ctx, n.name)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		r.stored[ModelPin{n.name, v}] = true
	}
	if h != nil && h.Carried == n.carried {
		s.history = *h
		return s, nil
	}
	if h != nil {
		s.history = succeed(*h, n.carried, 0, r.retained)
		s.history.Carried = n.carried
	}
	if durable {
		if err := r.store.Put(ctx, n.name, n.carried, n.file); err != nil {
			return nil, err
		}
		r.stored[ModelPin{n.name, n.carried}] = true
	}
	return s, s.journal.Write(ctx, s.history)
}

// plan returns the versions that a batch uses. They stay until it is complete.
func (r *modelRegistry) plan(seq uint64) []ModelPin {
	if len(r.nodes) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pins := make([]ModelPin, len(r.nodes))
	for i, n := range r.nodes {
		pins[i] = ModelPin{n.name, r.models[n.name].history.Current}
	}
	r.flying[seq] = pins
	return pins
}

// completed notes that a batch is complete.
func (r *modelRegistry) completed(seq uint64) {
	if len(r.nodes) == 0 {
		return
	}
	r.mu.Lock()
	delete(r.flying, seq)
	close(r.landed)
	r.landed = make(chan struct{})
	r.mu.Unlock()
	r.wakeTidy()
}

// ready waits until the next batch can be planned: where a model learns from the
// stream, when the batches before are complete.
func (r *modelRegistry) ready(ctx context.Context) error {
	if !slices.ContainsFunc(r.nodes, func(n *modelNode) bool { return n.trained }) {
		return nil
	}
	for {
		r.mu.Lock()
		waiting, landed := len(r.flying), r.landed
		r.mu.Unlock()
		if waiting == 0 {
			return nil
		}
		select {
		case <-landed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *modelRegistry) historyOf(s *modelState) modelstore.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.history
}

// hold tells the executors which versions are needed, if that has changed.
func (r *modelRegistry) hold() {
	r.holding.Lock()
	defer r.holding.Unlock()
	r.mu.Lock()
	pins := r.needed()
	r.mu.Unlock()
	if !slices.Equal(pins, r.told) {
		r.told = pins
		r.executor.Hold(pins)
	}
}

// needed returns the versions that executors must have, in order: those that are
// current, those of the batches in flight and those that come in. It is called
// with mu held.
func (r *modelRegistry) needed() []ModelPin {
	set := make(map[ModelPin]bool)
	for name, s := range r.models {
		set[ModelPin{name, s.history.Current}] = true
	}
	for _, pins := range r.flying {
		for _, p := range pins {
			set[p] = true
		}
	}
	for p := range r.coming {
		set[p] = true
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b ModelPin) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Digest, b.Digest))
	})
}

func (r *modelRegistry) wakeTidy() {
	select {
	case r.untidy <- struct{}{}:
	default:
	}
}

// tidy drops what isn't needed any more, on executors and in the store, until ctx
// ends.
func (r *modelRegistry) tidy(ctx context.Context) {
	for {
		select {
		case <-r.untidy:
		case <-ctx.Done():
			return
		}
		r.hold()
		for r.deleteOne(ctx) {
		}
	}
}

// deleteOne deletes a version from the store that nobody needs, and reports
// whether there was one.
func (r *modelRegistry) deleteOne(ctx context.Context) bool {
	r.disk.Lock()
	defer r.disk.Unlock()
	p, ok := r.superfluous()
	if !ok {
		return false
	}
	if err := r.store.Delete(ctx, p.Name, p.Digest); err != nil && ctx.Err() == nil {
		r.log.Warn("a version that isn't needed any more stays in the model store", "model", p.Name, "version", p.Digest, "err", err)
	}
	return ctx.Err() == nil
}

// superfluous takes a version that nobody needs off those that are stored.
func (r *modelRegistry) superfluous() (ModelPin, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := r.needed()
	for name, s := range r.models {
		keep = append(keep, ModelPin{name, s.node.carried})
		for _, d := range slices.Concat(s.history.Earlier, s.history.Left) {
			keep = append(keep, ModelPin{name, d})
		}
	}
	for p := range r.stored {
		if !slices.Contains(keep, p) {
			delete(r.stored, p)
			return p, true
		}
	}
	return ModelPin{}, false
}
