package models

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
)

// Registry decides, on the driver, which version of each model batches are
// planned with. A version becomes current when it is in the store, every
// executor that is there has loaded it, and the history says so; the allocations
// carry it from there.
//
// THREADING: after Open all methods are safe for concurrent use. publishing holds
// a token while nobody brings in a version for the user. tidy is a goroutine of
// driver.run. mu is never held while the store or executors are asked; a
// model's writing, disk and holding are taken before it.
type Registry struct {
	nodes    []*plan.Model
	store    *modelstore.Store   // nil: there are only versions that the program carries
	catalog  *modelstore.Catalog // nil if no model is followed
	executor Executors
	retained int
	durable  bool
	requests <-chan Request
	log      *slog.Logger

	publishing chan struct{}
	ended      chan struct{} // closed when the stream is over and nothing can be published any more
	untidy     chan struct{} // holds a token when tidy has something to do

	models map[string]*model // by name; the map never changes after open

	disk    sync.Mutex // held while a version is written or deleted
	holding sync.Mutex
	told    []plan.ModelPin // what executors were told last; guarded by holding

	mu     sync.Mutex
	flying map[uint64]bool            // batches that are planned and not complete
	pinned map[uint64][]plan.ModelPin // of those, and of the batches that others reach back to
	landed chan struct{}              // closed and replaced when a batch is complete
	coming map[plan.ModelPin]int      // how often it is being brought in
	stored map[plan.ModelPin]bool     // in the store, as far as this driver knows
}

// Executors is what the registry needs of the executors.
type Executors interface {
	// Hold says which versions executors are to have, in place of what was said
	// before. It doesn't wait.
	Hold(pins []plan.ModelPin)
	// AwaitModel waits until all executors that are there have a version of those
	// that they are to hold; an error says which can't load it, and why.
	AwaitModel(ctx context.Context, p plan.ModelPin) error
}

// model is one model's.
type model struct {
	node    *plan.Model
	history modelstore.History // guarded by the registry's mu
	following

	writing sync.Mutex
	journal *modelstore.Journal // guarded by writing; nil without a store
}

// Config says what a registry works with.
type Config struct {
	Models    []*plan.Model
	Store     *modelstore.Store   // nil: there are only versions that the program carries
	Catalog   *modelstore.Catalog // for models that are followed
	Executors Executors
	Retained  int            // earlier versions of each model that are kept
	Durable   bool           // the program may be started again with another file
	Requests  <-chan Request // of users outside the program; nil for none
	Log       *slog.Logger
}

// NewRegistry returns a registry that is to be opened.
func NewRegistry(c Config) *Registry {
	r := &Registry{
		nodes: c.Models, store: c.Store, catalog: c.Catalog, executor: c.Executors, retained: c.Retained, durable: c.Durable,
		requests: c.Requests, log: c.Log,
		publishing: make(chan struct{}, 1), ended: make(chan struct{}), untidy: make(chan struct{}, 1),
		models: make(map[string]*model), flying: make(map[uint64]bool), pinned: make(map[uint64][]plan.ModelPin), landed: make(chan struct{}),
		coming: make(map[plan.ModelPin]int), stored: make(map[plan.ModelPin]bool),
	}
	r.publishing <- struct{}{}
	return r
}

// Open takes over where the driver before left off, and waits until the
// executors have the versions that are needed now.
func (r *Registry) Open(ctx context.Context, epoch uint64, before *plan.LogState) error {
	for _, n := range r.nodes {
		s, err := r.openModel(ctx, n, epoch)
		if err != nil {
			return err
		}
		r.models[n.Name] = s
	}
	for _, a := range before.Past {
		r.pinned[a.Seq] = a.Models
	}
	for _, p := range before.Incomplete {
		r.flying[p.Allocation.Seq], r.pinned[p.Allocation.Seq] = true, p.Allocation.Models
	}
	r.hold()
	for _, p := range r.told {
		if err := r.executor.AwaitModel(ctx, p); err != nil {
			return err
		}
	}
	for _, s := range r.followed() {
		r.look(ctx, s) // the first batch is to use what is there
	}
	r.wakeTidy()
	return nil
}

// followed returns the models for which the catalog is looked at.
func (r *Registry) followed() (all []*model) {
	for _, n := range r.nodes {
		if n.Follow > 0 && r.catalog != nil {
			all = append(all, r.models[n.Name])
		}
	}
	return all
}

// openModel reads a model's history. A program that carries another file than
// the one before it wants that used.
func (r *Registry) openModel(ctx context.Context, n *plan.Model, epoch uint64) (*model, error) {
	s := &model{node: n, history: modelstore.History{Current: n.Carried, Carried: n.Carried}}
	if r.store == nil {
		return s, nil
	}
	j, h, err := r.store.OpenJournal(ctx, n.Name, epoch)
	if err != nil {
		return nil, err
	}
	s.journal = j
	versions, err := r.store.Versions(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		r.stored[plan.ModelPin{Name: n.Name, Digest: v}] = true
	}
	if h != nil && h.Carried == n.Carried {
		s.history = *h
		return s, nil
	}
	if h != nil {
		s.history = succeed(*h, n.Carried, 0, r.retained)
		s.history.Carried = n.Carried
	}
	if r.durable {
		if err := r.store.Put(ctx, n.Name, n.Carried, n.File); err != nil {
			return nil, err
		}
		r.stored[plan.ModelPin{Name: n.Name, Digest: n.Carried}] = true
	}
	return s, s.journal.Write(ctx, s.history)
}

// Plan writes into a batch's allocation which versions the batch uses. They stay
// until it is complete.
func (r *Registry) Plan(a *plan.Allocation) {
	if len(r.nodes) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pins := make([]plan.ModelPin, len(r.nodes))
	for i, n := range r.nodes {
		pins[i] = plan.ModelPin{Name: n.Name, Digest: r.models[n.Name].history.Current}
	}
	r.flying[a.Seq], r.pinned[a.Seq], a.Models = true, pins, pins
}

// Heard has nothing to hear of tasks.
func (r *Registry) Heard([][]byte) {}

// Completed notes that a batch is complete. Its versions stay until no batch reaches back
// to it.
func (r *Registry) Completed(seq, keep uint64) {
	if len(r.nodes) == 0 {
		return
	}
	r.mu.Lock()
	maps.DeleteFunc(r.flying, func(s uint64, _ bool) bool { return s <= seq })
	maps.DeleteFunc(r.pinned, func(s uint64, _ []plan.ModelPin) bool { return s < keep })
	close(r.landed)
	r.landed = make(chan struct{})
	r.mu.Unlock()
	r.wakeTidy()
}

// Ready waits until the next batch can be planned: where a model learns from the
// stream, when the batches before are complete.
func (r *Registry) Ready(ctx context.Context) error {
	if !slices.ContainsFunc(r.nodes, func(n *plan.Model) bool { return n.Trained }) {
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
			return fmt.Errorf("waiting for what the batch before teaches: %w", context.Cause(ctx))
		}
	}
}

func (r *Registry) historyOf(s *model) modelstore.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.history
}

// hold tells the executors which versions are needed, if that has changed.
func (r *Registry) hold() {
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
// current, those of the batches in flight or that are reached back to, and those that come in. It is called
// with mu held.
func (r *Registry) needed() []plan.ModelPin {
	set := make(map[plan.ModelPin]bool)
	for name, s := range r.models {
		set[plan.ModelPin{Name: name, Digest: s.history.Current}] = true
	}
	for _, pins := range r.pinned {
		for _, p := range pins {
			set[p] = true
		}
	}
	for p := range r.coming {
		set[p] = true
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b plan.ModelPin) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Digest, b.Digest))
	})
}

func (r *Registry) wakeTidy() {
	select {
	case r.untidy <- struct{}{}:
	default:
	}
}

// Close ends publishing: the stream is over.
func (r *Registry) Close() { close(r.ended) }

// tidy drops what isn't needed any more, on executors and in the store, until ctx
// ends.
func (r *Registry) tidy(ctx context.Context) {
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
func (r *Registry) deleteOne(ctx context.Context) bool {
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
func (r *Registry) superfluous() (plan.ModelPin, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := r.needed()
	for name, s := range r.models {
		keep = append(keep, plan.ModelPin{Name: name, Digest: s.node.Carried})
		for _, d := range slices.Concat(s.history.Earlier, s.history.Left) {
			keep = append(keep, plan.ModelPin{Name: name, Digest: d})
		}
	}
	for p := range r.stored {
		if !slices.Contains(keep, p) {
			delete(r.stored, p)
			return p, true
		}
	}
	return plan.ModelPin{}, false
}
