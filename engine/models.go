package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
)

// Model is a named model of a job, whose versions are files. Every batch's
// allocation says which version the batch uses, so that a replayed batch uses
// the same. A version is allocated when the executors that are there have loaded
// it, beside the batches; so a swap delays none. V is what tasks use of a version.
//
// Package ml makes its models of it.
type Model[V any] struct {
	ssc  *StreamingContext
	node *modelNode
}

// modelNode is the type-free view of a Model.
type modelNode struct {
	name    string
	site    rdd.Site
	carried string // digest of file
	file    []byte // the version that the program carries
	load    func(file []byte) (any, error)
	trained bool // versions come from the stream, see UpdateModel
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
	if slices.ContainsFunc(ssc.graph.models, func(n *modelNode) bool { return n.name == name }) {
		ssc.fail(op, errors.New("there are two models of this name"))
	}
	if !ssc.open(op) {
		return &Model[V]{ssc, &modelNode{name: name}}
	}
	n := &modelNode{name: name, site: rdd.Caller(), carried: modelstore.Digest(file), file: file}
	n.load = func(file []byte) (any, error) { return load(file) }
	ssc.graph.models = append(ssc.graph.models, n)
	return &Model[V]{ssc, n}
}

// Name returns the model's name.
func (m *Model[V]) Name() string { return m.node.name }

// Carried returns the version that the program carries: the SHA-256 of its
// file, hexadecimal.
func (m *Model[V]) Carried() string { return m.node.carried }

// At returns the version that a batch uses, in a task of it.
func (m *Model[V]) At(tc *rdd.TaskContext, b Batch) (V, error) {
	var none V
	versions, err := versionsOf(tc.Process)
	if err != nil {
		return none, err
	}
	v, err := versions.get(tc, ModelPin{m.node.name, b.Model(m.node.name)})
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
	r, err := m.registry()
	if err != nil {
		return "", err
	}
	return r.publish(ctx, m.node.name, file)
}

// Rollback goes back to an earlier version and returns its digest. version is
// that digest or its first digits, "" is the version that was current before the
// current one was; a version that was rolled back from isn't earlier, so "" twice
// goes two versions back. It works where Publish does.
func (m *Model[V]) Rollback(ctx context.Context, version string) (digest string, err error) {
	r, err := m.registry()
	if err != nil {
		return "", err
	}
	return r.rollback(ctx, m.node.name, version)
}

func (m *Model[V]) registry() (*modelRegistry, error) {
	if r := m.ssc.registry; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("model %s: %w", m.node.name, ErrNotDriver)
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
	if !d.ssc.open("updateModel " + m.node.name) {
		return
	}
	if m.node.trained {
		d.ssc.fail("updateModel "+m.node.name, errors.New("the model is trained by another output already: only one can say which version comes next"))
		return
	}
	m.node.trained = true
	collectOutput(d, "updateModel "+m.node.name, -1, func(ctx context.Context, b Batch, files [][]byte) error {
		switch len(files) {
		case 0:
			return nil
		case 1:
			return d.ssc.registry.update(ctx, m.node.name, b, files[0])
		}
		return fmt.Errorf("batch %d makes %d versions of model %s, at most one is possible; reduce the stream to one element a batch", b.Seq, len(files), m.node.name)
	})
}

// Model returns the digest of the version of a model that the batch uses, ""
// if it uses none of that name.
func (b Batch) Model(name string) string {
	if b.alloc != nil {
		for _, m := range b.alloc.Models {
			if m.Name == name {
				return m.Digest
			}
		}
	}
	return ""
}
