package ml

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/rdd"
)

// Errors of this package, for errors.Is.
var (
	// ErrModel: a model's definition is incomplete or its file can't be used.
	ErrModel = errors.New("model can't be used")
	// ErrLength: an element is longer than any length of its model.
	ErrLength = errors.New("element doesn't fit the model's rows")
)

// Network is what can be loaded with weights and run: every link of package
// links with a Forward method.
type Network interface {
	serializers.Stateful
	// Forward computes the outputs of a batch of rows.
	Forward(x *nn.Variable) *nn.Variable
}

// ModelRef is a named model of a job. Its versions are files, each named by the
// SHA-256 of its contents.
type ModelRef struct {
	model    *engine.Model[*version]
	build    func() Network // nil for a model that isn't a Network
	keepFile bool           // a version keeps its file, to be trained further
	lengths  []int          // in order, of a model whose rows have different ones
	expected []shapeCheck   // of each version
}

// Name returns the model's name.
func (m *ModelRef) Name() string {
	if m == nil || m.model == nil {
		return "" // where it is used is told that there is no model
	}
	return m.model.Name()
}

// require records that a model is missing.
func (m *ModelRef) require(ssc *engine.StreamingContext, op string) bool {
	ok := m != nil && m.model != nil
	if !ok {
		ssc.Fail(op, fmt.Errorf("%w: it is nil; make one with ml.Model or ml.ONNX", ErrModel))
	}
	return ok
}

// Digest returns the version that the program carries: the SHA-256 of its file,
// hexadecimal. It is the first one; which a batch uses is in its results' Row.
func (m *ModelRef) Digest() string { return m.model.Carried() }

// Publish brings in a version while the stream runs and returns its digest: the
// file is stored, loaded and warmed on the executors beside the batches, and
// batches that are planned afterwards use it. A file that can't be used, or whose
// weights hold a NaN, is refused with an error that says [ErrModel], and the
// version before stays. It works on the active driver, best in a driver task.
// Users outside the program say engine-submit model JOB NAME FILE.
func (m *ModelRef) Publish(ctx context.Context, file []byte) (digest string, err error) {
	return m.model.Publish(ctx, file)
}

// Follow makes the stream use the versions that batch programs publish under the model's
// name ([LoadedModel.Publish]), within every; see [engine.Model.Follow].
func (m *ModelRef) Follow(every time.Duration) { m.model.Follow(every) }

// Rollback goes back to an earlier version, given by its digest, or to the one
// before the current for "". It works where Publish does.
func (m *ModelRef) Rollback(ctx context.Context, digest string) (string, error) {
	return m.model.Rollback(ctx, digest)
}

// Model declares a model of a job: build makes the network, whose weights are
// read from npz, the bytes of a file as serializers.SaveNPZ or Chainer write it;
// rowShape is the shape of one row of its input, without the batch axis, such as
// 1, 28, 28. The file is checked before the first batch. Forward is recorded once,
// see package compile.
func Model(ssc *engine.StreamingContext, name string, build func() Network, npz []byte, rowShape ...int) *ModelRef {
	load, err := networkLoader(build, rowShape)
	if err != nil {
		ssc.Fail("ml.Model "+name, err)
	}
	return (&ModelRef{build: build}).declare(ssc, name, npz, load)
}

// loader makes a version of a model of its file.
type loader func(file []byte) (*version, error)

// networkLoader returns what compiles a network with the weights of a file. It is there
// with an error too, so that a program is told all that is wrong.
func networkLoader(build func() Network, rowShape []int) (load loader, err error) {
	shape := slices.Clone(rowShape)
	if build == nil {
		err = rdd.ErrNilFunction
	}
	if _, wrong := nn.Zeros(shape...); wrong != nil || len(shape) == 0 {
		err = errors.Join(err, fmt.Errorf("%w: rowShape %s: give the shape of one row of the input, such as 784 or 1, 28, 28", ErrModel, nn.FormatShape(shape)))
	}
	return func(file []byte) (*version, error) {
		net := build()
		if net == nil {
			return nil, errors.New("its build function returned nil")
		}
		if err := serializers.LoadNPZBytes(file, net); err != nil {
			return nil, err
		}
		c, err := compile.Network(net.Forward, shape...)
		if err != nil {
			return nil, fmt.Errorf("with rows of shape %s: %w", nn.FormatShape(shape), err)
		}
		return newVersion(c, nil), nil
	}, err
}

// onnxLoader returns what compiles an ONNX file.
func onnxLoader(opts []onnx.Option) loader {
	return func(file []byte) (*version, error) {
		f, err := onnx.Read(file)
		if err != nil {
			return nil, err
		}
		c, err := f.Compile(opts...)
		if err != nil {
			return nil, err
		}
		parts, err := f.Parts(c, opts...)
		if err != nil {
			return nil, err
		}
		return newVersion(c, parts), nil
	}
}

// unusable says that a model's file can't be used, and why.
func unusable(file []byte, why error) error {
	return fmt.Errorf("%w: a file of %d bytes: %w", ErrModel, len(file), why)
}

// ONNX declares a model of a job that is read from the bytes of an ONNX file,
// network and weights in one; see package onnx for what it may hold. The file is
// checked before the first batch.
func ONNX(ssc *engine.StreamingContext, name string, file []byte, opts ...onnx.Option) *ModelRef {
	return new(ModelRef).declare(ssc, name, file, onnxLoader(opts))
}

// declare makes a version of what a file compiles to, by one loader or one for each
// length, and warms it.
func (m *ModelRef) declare(ssc *engine.StreamingContext, name string, file []byte, loads ...loader) *ModelRef {
	m.model = engine.NewModel(ssc, name, file, func(file []byte) (*version, error) {
		if len(loads) == 0 {
			return nil, unusable(file, errors.New("it has no length"))
		}
		var all []*version
		for k, load := range loads {
			v, err := load(file)
			if err == nil {
				err = v.holds(m.expected)
			}
			if err != nil && m.lengths != nil {
				err = fmt.Errorf("for the length %d: %w", m.lengths[k], err)
			}
			if err != nil {
				return nil, unusable(file, err)
			}
			all = append(all, v)
		}
		v := &version{byLength: all}
		if m.lengths == nil {
			v = all[0]
		}
		if m.keepFile {
			v.file = file
		}
		v.warm()
		return v, nil
	})
	return m
}
