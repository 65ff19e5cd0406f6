package ml

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/nn"
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
	name    string
	build   func() Network
	shape   []int  // of a row
	weights []byte // npz
	digest  string // SHA-256 of weights, hexadecimal
}

// Name returns the model's name.
func (m *ModelRef) Name() string { return m.name }

// Digest returns the version: the SHA-256 of the weights' file, hexadecimal.
func (m *ModelRef) Digest() string { return m.digest }

// Model declares a model of a job: build makes the network, whose weights are
// read from npz, the bytes of a file as serializers.SaveNPZ or Chainer write it;
// rowShape is the shape of one row of its input, such as 1, 28, 28. The network
// is built and its file checked on the driver before the first batch.
func Model(ssc *engine.StreamingContext, name string, build func() Network, npz []byte, rowShape ...int) *ModelRef {
	sum := sha256.Sum256(npz)
	m := &ModelRef{name: name, build: build, shape: rowShape, weights: bytes.Clone(npz), digest: hex.EncodeToString(sum[:])}
	if build == nil {
		ssc.Fail("ml.Model "+name, rdd.ErrNilFunction)
	}
	engine.PinModel(ssc, name, m.Digest)
	ssc.OnDriver(func(context.Context) error {
		_, err := m.Compile()
		return err
	})
	return m
}

// Compile loads the weights and compiles the network for inference. Errors say
// [ErrModel] and what is wrong with the file.
func (m *ModelRef) Compile() (*compile.Model, error) {
	net := m.build()
	if err := serializers.LoadNPZBytes(m.weights, net); err != nil {
		return nil, fmt.Errorf("%w: %s, weights of %d bytes: %w", ErrModel, m.name, len(m.weights), err)
	}
	c, err := compile.Network(net.Forward, m.shape...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrModel, m.name, err)
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
