package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Model is a named model of a job, whose versions are files. Every batch's
// allocation says which version the batch uses, so that a replayed batch uses
// the same. A version is allocated when the executors that are there have loaded
// it, beside the batches; so a swap delays none. V is what tasks use of a version.
//
// Package ml makes its models of it.
type Model[V any] struct {
	ssc  *StreamingContext
	node *plan.Model
}

// NewModel declares a model. file is the version that the program carries, the
// first one; it may not change afterwards. load makes of a version's file what tasks use, once in each executor
// process; its error refuses the version.
func NewModel[V any](ssc *StreamingContext, name string, file []byte, load func(file []byte) (V, error)) *Model[V] {
	op := "model " + name
	if load == nil {
		ssc.fail(op, rdd.ErrNilFunction)
	}
	if err := modelstore.CheckName(name); err != nil {
		ssc.fail(op, err)
	}
	if slices.ContainsFunc(ssc.program.Graph.Models, func(n *plan.Model) bool { return n.Name == name }) {
		ssc.fail(op, errors.New("there are two models of this name"))
	}
	if !ssc.program.Open(op) {
		return &Model[V]{ssc, &plan.Model{Name: name}}
	}
	n := &plan.Model{Name: name, Site: lineage.Caller(), Carried: modelstore.Digest(file), File: file}
	n.Load = func(file []byte) (any, error) { return load(file) }
	ssc.program.Graph.Models = append(ssc.program.Graph.Models, n)
	return &Model[V]{ssc, n}
}

// Name returns the model's name.
func (m *Model[V]) Name() string { return m.node.Name }

// Carried returns the version that the program carries: the SHA-256 of its
// file, hexadecimal.
func (m *Model[V]) Carried() string { return m.node.Carried }

// At returns the version that a batch uses, in a task of it.
func (m *Model[V]) At(tc *task.Context, b Batch) (V, error) {
	var none V
	versions, err := models.VersionsOf(tc.Process)
	if err != nil {
		return none, err
	}
	v, err := versions.Get(tc, plan.ModelPin{Name: m.node.Name, Digest: b.Model(m.node.Name)})
	if err != nil {
		return none, err
	}
	return v.(V), nil
}

// Publish brings in a version, given as its file: it is stored, loaded and
// warmed on the executors, and batches that are planned after Publish has
// returned use it. A version that an executor can't load is refused with its
// reason, and the one before stays. Publish works on the active driver: in
// OnDriver, a driver task, a listener's goroutine, or an output such as
// ForEachBatch, which it holds up.
func (m *Model[V]) Publish(ctx context.Context, file []byte) (digest string, err error) {
	c, err := m.control()
	if err != nil {
		return "", err
	}
	return c.Publish(ctx, m.node.Name, file)
}

// Rollback goes back to an earlier version and returns its digest. version is
// that digest or its first digits, "" is the version that was current before the
// current one was; a version that was rolled back from isn't earlier, so "" twice
// goes two versions back. It works where Publish does.
func (m *Model[V]) Rollback(ctx context.Context, version string) (digest string, err error) {
	c, err := m.control()
	if err != nil {
		return "", err
	}
	return c.Rollback(ctx, m.node.Name, version)
}

// Follow makes the stream use the versions of the model that other programs publish with
// [PublishModel]: the newest that is there when the stream starts, and each that comes,
// within every. Both programs are given one --conf models.store=URL. A version that
// executors can't load is refused, as by Publish, and said in the log; one that the
// stream has left by a rollback isn't brought in again.
func (m *Model[V]) Follow(every time.Duration) {
	op := "follow " + m.node.Name
	if every < time.Millisecond {
		m.ssc.fail(op, fmt.Errorf("the time between two looks is %s, it must be at least 1ms", every))
		return
	}
	if m.ssc.program.Open(op) {
		m.node.Follow = every
	}
}

// PublishModel leaves a version of a model, given as its file, for the streams that follow
// the model of that name ([Model.Follow]), those that start later too. It is for batch programs
// and works in the program's body: the driver writes, once, to the store that --conf
// models.store=URL names.
func PublishModel(sc *rdd.Context, name string, file []byte) (digest string, err error) {
	e := EnvironmentOf(sc)
	program, _ := e.copied("publishModel")
	store, err := program.Settings.ModelStore, sc.Lineage().Err()
	switch {
	case err != nil:
	case store == "":
		err = plan.ErrNoModelStore
	case len(file) == 0:
		err = plan.ErrEmptyModel
	default:
		digest, err = rdd.TryValue(sc, func() (string, error) { return publishModel(store, name, file) })
	}
	if op, ok := errors.AsType[*rdd.OpError](err); ok {
		err = op.Err // it has the same place
	}
	if err != nil {
		return "", &rdd.OpError{Op: "publishModel " + name, Site: lineage.Caller(), Err: err}
	}
	return digest, nil
}

// publishTimeout bounds how long a batch program's version is written.
const publishTimeout = 5 * time.Minute

// publishModel writes a version to a store's catalog.
func publishModel(store, name string, file []byte) (digest string, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), publishTimeout, fmt.Errorf("it took longer than %s", publishTimeout))
	defer cancel()
	address, err := modelstore.Address(store)
	if err != nil {
		return "", err
	}
	c, err := modelstore.OpenCatalog(ctx, address)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Publish(ctx, name, file, time.Now())
}

// control returns what brings in versions, on the active driver.
func (m *Model[V]) control() (plan.ModelControl, error) {
	if d := m.ssc.program.Driver(); d != nil {
		return d.Models, nil
	}
	return nil, fmt.Errorf("model %s: %w", m.node.Name, ErrNotDriver)
}

// UpdateModel declares an output that trains a model on the stream: d's element,
// at most one a batch, is the file of the version that follows the one which the
// batch uses. The next batch uses it: each is planned when the one before is
// complete. What is computed of a batch is a function of the batch and its
// version, so a batch that runs again after a failure is not learned twice.
//
// A version that is published while a batch runs wins: what that batch learned
// is dropped with a warning.
func UpdateModel[V any](d *DStream[[]byte], m *Model[V]) {
	require(d.ssc, "updateModel", m != nil && m.ssc == d.ssc)
	if !d.ssc.program.Open("updateModel " + m.node.Name) {
		return
	}
	if m.node.Trained {
		d.ssc.fail("updateModel "+m.node.Name, errors.New("the model is trained by another output already: only one can say which version comes next"))
		return
	}
	m.node.Trained = true
	collectOutput(d, "updateModel "+m.node.Name, -1, func(ctx context.Context, b Batch, files [][]byte) error {
		switch len(files) {
		case 0:
			return nil
		case 1:
			return d.ssc.program.Driver().Models.Update(ctx, m.node.Name, b.alloc, files[0])
		}
		return fmt.Errorf("batch %d makes %d versions of model %s, at most one is possible; reduce the stream to one element a batch", b.Seq, len(files), m.node.Name)
	})
}

// Model returns the digest of the version of a model that the batch uses, ""
// if it uses none of that name.
func (b Batch) Model(name string) string {
	if b.alloc == nil {
		return ""
	}
	return b.alloc.Model(name)
}
