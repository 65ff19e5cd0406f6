package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
)

// modelVersions are the versions of models that an executor process holds, each
// loaded once for all its slots.
//
// THREADING: all methods are safe for concurrent use. Each load is a goroutine
// that close waits for.
type modelVersions struct {
	nodes map[string]*modelNode
	store *modelstore.Store // nil: there are only those that the program carries

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu   sync.Mutex
	held map[ModelPin]*heldVersion
}

// heldVersion is a version that is loaded or being loaded.
type heldVersion struct {
	done  chan struct{} // closed when value and err are set
	value any
	err   error
}

func newModelVersions(nodes []*modelNode, store *modelstore.Store) *modelVersions {
	v := &modelVersions{nodes: make(map[string]*modelNode), store: store, held: make(map[ModelPin]*heldVersion)}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	for _, n := range nodes {
		v.nodes[n.name] = n
	}
	return v
}

// versionsKey finds the versions among a process's resources.
type versionsKey struct{}

// versionsOf returns the versions of the process that a task runs in.
func versionsOf(p *rdd.Process) (*modelVersions, error) {
	v, err := p.Resource(versionsKey{}, func() (any, func() error, error) {
		return nil, nil, errors.New("models are there in tasks of a stream only")
	})
	if err != nil {
		return nil, err
	}
	return v.(*modelVersions), nil
}

// hold makes the given versions those that are held: the others are dropped,
// what lacks is being loaded. It returns them in order.
func (v *modelVersions) hold(pins []ModelPin) []*heldVersion {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := make([]*heldVersion, len(pins))
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
func (v *modelVersions) begin(p ModelPin) *heldVersion {
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
	h = &heldVersion{done: make(chan struct{})}
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

// get returns a version, which is loaded now if it isn't held: a task of an
// executor that joined while the version came in may be ahead of it.
func (v *modelVersions) get(ctx context.Context, p ModelPin) (any, error) {
	v.mu.Lock()
	h := v.begin(p)
	v.mu.Unlock()
	return h.await(ctx)
}

// await waits until the version is loaded.
func (h *heldVersion) await(ctx context.Context) (any, error) {
	select {
	case <-h.done:
		return h.value, h.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load reads a version's file and makes of it what tasks use.
func (v *modelVersions) load(p ModelPin) (value any, err error) {
	n := v.nodes[p.Name]
	if n == nil {
		return nil, fmt.Errorf("%w: the program declares no model %q", ErrDiverged, p.Name)
	}
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{fmt.Sprintf("loading model %s at %s", p.Name, n.site), rdd.Recovered(r)}
		}
	}()
	file := n.file
	if p.Digest != n.carried {
		if file, err = v.fetch(p); err != nil {
			return nil, err
		}
	}
	value, err = n.load(file)
	if err != nil {
		return nil, fmt.Errorf("model %s at %s, version %.12s: %w", p.Name, n.site, p.Digest, err)
	}
	return value, nil
}

// How often and after how long a store that can't be read is asked again.
const (
	fetchAttempts = 3
	fetchPause    = 500 * time.Millisecond
)

// fetch reads a version's file from the store.
func (v *modelVersions) fetch(p ModelPin) ([]byte, error) {
	if v.store == nil {
		return nil, fmt.Errorf("model %s, version %.12s: %w: the program doesn't carry it and there is no model store", p.Name, p.Digest, ErrNoVersion)
	}
	for attempt := 1; ; attempt++ {
		file, err := v.store.Get(v.ctx, p.Name, p.Digest)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, modelstore.ErrMissing) || errors.Is(err, modelstore.ErrDamaged):
			return nil, fmt.Errorf("model %s, version %.12s: %w: %w; put its file back there or publish it again, or roll back to another version", p.Name, p.Digest, ErrNoVersion, err)
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

// close waits for what is being loaded and drops everything.
func (v *modelVersions) close() error {
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
