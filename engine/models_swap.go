package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/modelstore"
)

// succeed returns the history after a version has become current.
func succeed(h modelstore.History, digest string, seq uint64, retained int) modelstore.History {
	if digest != h.Current {
		h.Earlier = newest(append(without(h.Earlier, digest), h.Current), retained)
		h.Left = without(h.Left, digest)
	}
	h.Current, h.Seq = digest, seq
	return h
}

// goBack returns the history after a rollback to a version. What was current
// since is left: going back once more goes on from there, further back.
func goBack(h modelstore.History, digest string, retained int) modelstore.History {
	i := slices.Index(h.Earlier, digest)
	if i < 0 && digest != h.Current && slices.Contains(h.Left, digest) {
		return succeed(h, digest, 0, retained) // forward again
	}
	if digest != h.Current {
		since := h.Earlier[i+1:] // all, for the program's own version, which is older than what is kept
		h.Left = newest(append(append(without(h.Left, digest), h.Current), reversed(since)...), retained)
		h.Earlier = slices.Clone(h.Earlier[:max(i, 0)])
	}
	h.Current, h.Seq = digest, 0
	return h
}

// without returns a copy of a list of versions that lacks one.
func without(list []string, digest string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(d string) bool { return d == digest })
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// newest returns the last of a list of versions, at most retained of them.
func newest(list []string, retained int) []string { return list[max(0, len(list)-retained):] }

// come begins to bring in a version: it puts its file into the store, unless that
// is nil because it is there. Until gone is told, the version stays.
func (r *modelRegistry) come(ctx context.Context, p ModelPin, file []byte) error {
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
func (r *modelRegistry) gone(p ModelPin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.coming[p]--; r.coming[p] == 0 {
		delete(r.coming, p)
	}
}

// publish brings in a version for the user.
func (r *modelRegistry) publish(ctx context.Context, name string, file []byte) (string, error) {
	digest := modelstore.Digest(file)
	err := r.exclusively(ctx, name, func(s *modelState) error {
		if len(file) == 0 {
			return ErrEmptyModel
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

// rollback goes back to an earlier version, which may be named by the first
// digits of its digest; "" is the one that was current before the current one
// was. Versions that a rollback left count by their digests only.
func (r *modelRegistry) rollback(ctx context.Context, name, version string) (digest string, err error) {
	err = r.exclusively(ctx, name, func(s *modelState) (err error) {
		if digest, err = earlierVersion(r.historyOf(s), s.node.carried, version); err != nil {
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

// earlierVersion finds the version to go back to.
func earlierVersion(h modelstore.History, carried, version string) (string, error) {
	earlier := h.Earlier
	if version == "" {
		if len(earlier) == 0 {
			return "", fmt.Errorf("%w: there is none before the current one", ErrNoVersion)
		}
		return earlier[len(earlier)-1], nil
	}
	found := make(map[string]bool)
	kept := slices.Concat(earlier, h.Left)
	for _, d := range append(slices.Clone(kept), carried) {
		if strings.HasPrefix(d, version) {
			found[d] = true
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w: %.12s isn't among those that are kept, %.12s and the program's own %.12s; publish its file instead", ErrNoVersion, version, kept, carried)
	case 1:
		return slices.Collect(maps.Keys(found))[0], nil
	}
	return "", fmt.Errorf("%w: %s is the beginning of %d of them, give more of its digits", ErrNoVersion, version, len(found))
}

// exclusively runs f while no other version comes in for a user.
func (r *modelRegistry) exclusively(ctx context.Context, name string, f func(s *modelState) error) error {
	s := r.models[name]
	if s == nil {
		return fmt.Errorf("%w of this name; the program declares %v", ErrNoModel, slices.Sorted(maps.Keys(r.models)))
	}
	if r.store == nil {
		return ErrNoModelStore
	}
	select {
	case <-r.ended:
		return ErrStopped
	default:
	}
	select {
	case <-r.publishing:
	case <-r.ended:
		return ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { r.publishing <- struct{}{} }()
	return f(s)
}

// update makes what a batch has learned the next version, unless another one has
// come in since the batch was planned, or the batch was learned before it failed.
func (r *modelRegistry) update(ctx context.Context, name string, b Batch, file []byte) error {
	if r.store == nil {
		return fmt.Errorf("updating model %s: %w", name, ErrNoModelStore)
	}
	s, base := r.models[name], b.Model(name)
	digest := modelstore.Digest(file)
	next := func(h modelstore.History) (modelstore.History, bool) {
		return succeed(h, digest, b.Seq, r.retained), h.Current == base
	}
	if r.historyOf(s).Current == base {
		if err := r.swap(ctx, s, digest, file, next); err != nil {
			return fmt.Errorf("bringing in what batch %d taught model %s: %w", b.Seq, name, err)
		}
	}
	if h := r.historyOf(s); h.Seq != b.Seq {
		r.log.Warn("what a batch taught is dropped: another version was published while it ran", "model", name, "batch", b.Seq, "version", h.Current)
	}
	return nil
}

// swap makes a version current, when it is in the store (file is nil if it is)
// and the executors have it. next gives the history with it, and false if it must
// not follow what is current then. An error leaves everything as it was.
func (r *modelRegistry) swap(ctx context.Context, s *modelState, digest string, file []byte, next func(modelstore.History) (modelstore.History, bool)) error {
	pin := ModelPin{s.node.name, digest}
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
