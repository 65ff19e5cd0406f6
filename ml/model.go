package ml

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

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
	// ErrVersion: a batch was planned with a version that the program doesn't have.
	ErrVersion = errors.New("model version is not there")
)

// Network is what can be loaded with weights and run: every link of package
// links with a Forward method.
type Network interface {
	serializers.Stateful
	// Forward computes the outputs of a batch of rows.
	Forward(x *nn.Variable) *nn.Variable
}

// ModelRef is a named model of a job.
type ModelRef struct {
	name   string
	file   []byte
	digest string // SHA-256 of file, hexadecimal
	load   func(file []byte) (*compile.Model, error)
}

// Name returns the model's name.
func (m *ModelRef) Name() string { return m.name }

// Digest returns the version: the SHA-256 of the model's file, hexadecimal.
func (m *ModelRef) Digest() string { return m.digest }

// Model declares a model of a job: build makes the network, whose weights are
// read from npz, the bytes of a file as serializers.SaveNPZ or Chainer write it;
// rowShape is the shape of one row of its input, such as 1, 28, 28. The network
// is built and its file checked on the driver before the first batch.
func Model(ssc *engine.StreamingContext, name string, build func() Network, npz []byte, rowShape ...int) *ModelRef {
	if build == nil {
		ssc.Fail("ml.Model "+name, rdd.ErrNilFunction)
	}
	shape := slices.Clone(rowShape)
	return declare(ssc, name, npz, func(file []byte) (*compile.Model, error) {
		net := build()
		if err := serializers.LoadNPZBytes(file, net); err != nil {
			return nil, err
		}
		return compile.Network(net.Forward, shape...)
	})
}

// ONNX declares a model of a job that is read from the bytes of an ONNX file,
// network and weights in one; see package onnx for what it may hold. The file is
// checked on the driver before the first batch.
func ONNX(ssc *engine.StreamingContext, name string, file []byte, opts ...onnx.Option) *ModelRef {
	return declare(ssc, name, file, func(file []byte) (*compile.Model, error) { return onnx.Compile(file, opts...) })
}

// declare pins a model's version in each batch and has its file checked on the
// driver.
func declare(ssc *engine.StreamingContext, name string, file []byte, load func([]byte) (*compile.Model, error)) *ModelRef {
	sum := sha256.Sum256(file)
	m := &ModelRef{name: name, file: bytes.Clone(file), digest: hex.EncodeToString(sum[:]), load: load}
	engine.PinModel(ssc, name, m.Digest)
	ssc.OnDriver(func(context.Context) error {
		_, err := m.Compile()
		return err
	})
	return m
}

// Compile reads the file and compiles the network for inference. Errors say
// [ErrModel] and what is wrong with the file.
func (m *ModelRef) Compile() (*compile.Model, error) {
	c, err := m.load(m.file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s, a file of %d bytes: %w", ErrModel, m.name, len(m.file), err)
	}
	return c, nil
}

// compiledKey finds a compiled version in a process.
type compiledKey struct{ name, digest string }

// compiled returns a version's compiled network, made once in each process.
func (m *ModelRef) compiled(p *rdd.Process, digest string) (*compile.Model, error) {
	if digest != m.digest {
		return nil, fmt.Errorf("%w: the batch was planned with version %.12s of %s, this program carries %.12s", ErrVersion, digest, m.name, m.digest)
	}
	c, err := p.Resource(compiledKey{m.name, digest}, func() (any, func() error, error) {
		c, err := m.Compile()
		return c, nil, err
	})
	if err != nil {
		return nil, err
	}
	return c.(*compile.Model), nil
}
