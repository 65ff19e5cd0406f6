package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Versions are the versions of models that an executor process holds, each
// loaded once for all its slots.
//
// THREADING: all methods are safe for concurrent use. Each load is a goroutine
// that Close waits for.
type Versions struct {
	nodes map[string]*plan.Model
	store *modelstore.Store // nil: there are only those that the program carries

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu   sync.Mutex
	held map[plan.ModelPin]*Version
}

// Version is a version of a model that is loaded or being loaded.
type Version struct {
	done  chan struct{} // closed when value and err are set
	value any
	err   error
}

// NewVersions returns the versions of an executor process: none yet.
func NewVersions(nodes []*plan.Model, store *modelstore.Store) *Versions {
	v := &Versions{nodes: make(map[string]*plan.Model), store: store, held: make(map[plan.ModelPin]*Version)}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	for _, n := range nodes {
		v.nodes[n.Name] = n
	}
	return v
}

// versionsKey finds the versions among a process's resources.
type versionsKey struct{}

// Install makes v the versions of a process, which closes them.
func (v *Versions) Install(p *task.Process) error {
	_, err := p.Resource(versionsKey{}, func() (any, func() error, error) { return v, v.Close, nil })
	return err
}

// VersionsOf returns the versions of the process that a task runs in.
func VersionsOf(p *task.Process) (*Versions, error) {
	v, err := p.Resource(versionsKey{}, func() (any, func() error, error) {
		return nil, nil, errors.New("models are there in tasks of a stream only")
	})
	if err != nil {
		return nil, err
	}
	return v.(*Versions), nil
}

// Hold makes the given versions those that are held: the others are dropped,
// what lacks is being loaded. It returns them in order.
func (v *Versions) Hold(pins []plan.ModelPin) []*Version {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := make([]*Version, len(pins))
	for i, p := range pins {
		held[i] = v.begin(p)
	}
	for p := range v.held {
		if !slices.Contains(pins, p) {
			delete(v.held, p)
		}
	}
	return held
}

// begin returns a version and begins to load it, unless that has happened. One
// that could not be loaded is tried again. It is called with mu held.
func (v *Versions) begin(p plan.ModelPin) *Version {
	h := v.held[p]
	if h != nil {
		select {
		case <-h.done:
			if h.err == nil {
				return h
			}
		default:
			return h
		}
	}
	h = &Version{done: make(chan struct{})}
	v.held[p] = h
	if err := v.ctx.Err(); err != nil {
		h.err = err
		close(h.done)
		return h
	}
	v.loads.Go(func() {
		defer close(h.done)
		h.value, h.err = v.load(p)
	})
	return h
}

// Get returns a version, which is loaded now if it isn't held: a task of an
// executor that joined while the version came in may be ahead of it.
func (v *Versions) Get(ctx context.Context, p plan.ModelPin) (any, error) {
	v.mu.Lock()
	h := v.begin(p)
	v.mu.Unlock()
	return h.Await(ctx)
}

// Await waits until the version is loaded.
func (h *Version) Await(ctx context.Context) (any, error) {
	select {
	case <-h.done:
		return h.value, h.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load reads a version's file and makes of it what tasks use.
func (v *Versions) load(p plan.ModelPin) (value any, err error) {
	n := v.nodes[p.Name]
	if n == nil {
		return nil, fmt.Errorf("%w: the program declares no model %q", plan.ErrDiverged, p.Name)
	}
	defer func() {
		if r := recover(); r != nil {
			err = plan.Panicked(fmt.Sprintf("loading model %s at %s", p.Name, n.Site), r)
		}
	}()
	file := n.File
	if p.Digest != n.Carried {
		if file, err = v.fetch(p); err != nil {
			return nil, err
		}
	}
	value, err = n.Load(file)
	if err != nil {
		return nil, fmt.Errorf("model %s at %s, version %.12s: %w", p.Name, n.Site, p.Digest, err)
	}
	return value, nil
}

// How often and after how long a store that can't be read is asked again.
const (
	fetchAttempts = 3
	fetchPause    = 500 * time.Millisecond
)

// fetch reads a version's file from the store.
func (v *Versions) fetch(p plan.ModelPin) ([]byte, error) {
	if v.store == nil {
		return nil, fmt.Errorf("model %s, version %.12s: %w: the program doesn't carry it and there is no model store", p.Name, p.Digest, plan.ErrNoVersion)
	}
	for attempt := 1; ; attempt++ {
		file, err := v.store.Get(v.ctx, p.Name, p.Digest)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, modelstore.ErrMissing) || errors.Is(err, modelstore.ErrDamaged):
			return nil, fmt.Errorf("model %s, version %.12s: %w: %w; put its file back there or publish it again, or roll back to another version", p.Name, p.Digest, plan.ErrNoVersion, err)
		case attempt == fetchAttempts:
			return nil, err
		}
		select {
		case <-time.After(fetchPause):
		case <-v.ctx.Done():
			return nil, v.ctx.Err()
		}
	}
}

// Close waits for what is being loaded and drops everything.
func (v *Versions) Close() error {
	v.cancel()
	v.loads.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.held)
	if v.store != nil {
		return v.store.Close()
	}
	return nil
}
