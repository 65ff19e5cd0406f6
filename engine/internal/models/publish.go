package models

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
)

// come begins to bring in a version: it puts its file into the store, unless that
// is nil because it is there. Until gone is told, the version stays.
func (r *Registry) come(ctx context.Context, p plan.ModelPin, file []byte) error {
	r.disk.Lock()
	defer r.disk.Unlock()
	if file != nil {
		if err := r.store.Put(ctx, p.Name, p.Digest, file); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored[p] = true
	r.coming[p]++
	return nil
}

// gone ends what come began.
func (r *Registry) gone(p plan.ModelPin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.coming[p]--; r.coming[p] == 0 {
		delete(r.coming, p)
	}
}

// Publish brings in a version for the user.
func (r *Registry) Publish(ctx context.Context, name string, file []byte) (string, error) {
	digest := modelstore.Digest(file)
	err := r.exclusively(ctx, name, func(s *model) error {
		if len(file) == 0 {
			return plan.ErrEmptyModel
		}
		return r.swap(ctx, s, digest, file, func(h modelstore.History) (modelstore.History, bool) {
			return succeed(h, digest, 0, r.retained), true
		})
	})
	if err != nil {
		return "", fmt.Errorf("publishing version %.12s of model %s: %w", digest, name, err)
	}
	r.log.Info("a version of a model was published", "model", name, "version", digest)
	return digest, nil
}

// Rollback goes back to an earlier version, which may be named by the first
// digits of its digest; "" is the one that was current before the current one
// was. Versions that a rollback left count by their digests only.
func (r *Registry) Rollback(ctx context.Context, name, version string) (digest string, err error) {
	err = r.exclusively(ctx, name, func(s *model) (err error) {
		if digest, err = earlierVersion(r.historyOf(s), s.node.Carried, version); err != nil {
			return err
		}
		return r.swap(ctx, s, digest, nil, func(h modelstore.History) (modelstore.History, bool) {
			return goBack(h, digest, r.retained), true
		})
	})
	if err != nil {
		return "", fmt.Errorf("rolling model %s back: %w", name, err)
	}
	r.log.Info("a model was rolled back", "model", name, "version", digest)
	return digest, nil
}

// exclusively runs f while no other version comes in for a user.
func (r *Registry) exclusively(ctx context.Context, name string, f func(s *model) error) error {
	s := r.models[name]
	if s == nil {
		return fmt.Errorf("%w of this name; the program declares %v", plan.ErrNoModel, slices.Sorted(maps.Keys(r.models)))
	}
	if r.store == nil {
		return plan.ErrNoModelStore
	}
	select {
	case <-r.ended:
		return plan.ErrStopped
	default:
	}
	select {
	case <-r.publishing:
	case <-r.ended:
		return plan.ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { r.publishing <- struct{}{} }()
	return f(s)
}

// Update makes what a batch has learned the next version, unless another one has
// come in since the batch was planned, or the batch was learned before it failed.
func (r *Registry) Update(ctx context.Context, name string, a *plan.Allocation, file []byte) error {
	if r.store == nil {
		return fmt.Errorf("updating model %s: %w", name, plan.ErrNoModelStore)
	}
	s, base := r.models[name], a.Model(name)
	digest := modelstore.Digest(file)
	next := func(h modelstore.History) (modelstore.History, bool) {
		return succeed(h, digest, a.Seq, r.retained), h.Current == base
	}
	if r.historyOf(s).Current == base {
		if err := r.swap(ctx, s, digest, file, next); err != nil {
			return fmt.Errorf("bringing in what batch %d taught model %s: %w", a.Seq, name, err)
		}
	}
	if h := r.historyOf(s); h.Seq != a.Seq {
		r.log.Warn("what a batch taught is dropped: another version was published while it ran", "model", name, "batch", a.Seq, "version", h.Current)
	}
	return nil
}

// swap makes a version current, when it is in the store (file is nil if it is)
// and the executors have it. next gives the history with it, and false if it must
// not follow what is current then. An error leaves everything as it was.
func (r *Registry) swap(ctx context.Context, s *model, digest string, file []byte, next func(modelstore.History) (modelstore.History, bool)) error {
	pin := plan.ModelPin{Name: s.node.Name, Digest: digest}
	if err := r.come(ctx, pin, file); err != nil {
		return err
	}
	defer func() {
		r.gone(pin)
		r.hold()
		r.wakeTidy()
	}()
	r.hold()
	if err := r.executor.AwaitModel(ctx, pin); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	h, ok := next(r.historyOf(s))
	if !ok {
		return nil
	}
	if err := s.journal.Write(ctx, h); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.history = h
	return nil
}
