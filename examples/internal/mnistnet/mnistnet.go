// Package mnistnet defines the networks of the MNIST examples in one place, so
// that the program that trains them and the ones that use them agree.
package mnistnet

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Net is a network that scores the ten digits.
type Net interface {
	links.Link
	// Forward takes images (batch, 1, 28, 28) and gives scores (batch, 10).
	Forward(x *nn.Variable) *nn.Variable
}

// Names lists the networks that New knows.
func Names() []string { return []string{"cnn", "mlp"} }

// New makes a network by name. dropout is the ratio dropped before the last
// layer in training; 0 leaves it out.
func New(name string, dropout float64) (Net, error) {
	switch name {
	case "cnn":
		return CNN(dropout), nil
	case "mlp":
		return MLP(dropout), nil
	}
	return nil, fmt.Errorf("there is no network %q: use one of %v", name, Names())
}

// ConvNet is a convolutional network: conv 5x5x32, ReLU, max pooling 2, conv
// 5x5x64, ReLU, max pooling 2, 512 units, ReLU, 10 scores; no padding.
type ConvNet struct {
	links.Chain
	conv1, conv2 *links.Convolution2DLink
	fc1, fc2     *links.LinearLink
	dropout      float32
}

// CNN makes the convolutional network.
func CNN(dropout float64) *ConvNet {
	n := &ConvNet{dropout: float32(dropout)}
	he := links.InitW(nn.HeNormal())
	n.conv1 = links.Add(n, "conv1", links.Convolution2D(32, 5, links.InSize(1), he))
	n.conv2 = links.Add(n, "conv2", links.Convolution2D(64, 5, links.InSize(32), he))
	n.fc1 = links.Add(n, "fc1", links.Linear(512, links.InSize(64*4*4), he))
	n.fc2 = links.Add(n, "fc2", links.Linear(10, links.InSize(512)))
	return n
}

// Forward takes images (batch, 1, 28, 28) and gives scores (batch, 10).
func (n *ConvNet) Forward(x *nn.Variable) *nn.Variable {
	h := functions.MaxPooling2D(functions.ReLU(n.conv1.Forward(x)), 2)
	h = functions.MaxPooling2D(functions.ReLU(n.conv2.Forward(h)), 2)
	return n.fc2.Forward(drop(functions.ReLU(n.fc1.Forward(h)), n.dropout))
}

// Perceptron is a multi-layer perceptron of 1000, 1000 and 10 units with ReLU.
type Perceptron struct {
	links.Chain
	l1, l2, l3 *links.LinearLink
	dropout    float32
}

// MLP makes the perceptron.
func MLP(dropout float64) *Perceptron {
	n := &Perceptron{dropout: float32(dropout)}
	n.l1 = links.Add(n, "l1", links.Linear(1000, links.InSize(28*28)))
	n.l2 = links.Add(n, "l2", links.Linear(1000, links.InSize(1000)))
	n.l3 = links.Add(n, "l3", links.Linear(10, links.InSize(1000)))
	return n
}

// Forward takes images (batch, 1, 28, 28) and gives scores (batch, 10).
func (n *Perceptron) Forward(x *nn.Variable) *nn.Variable {
	h := functions.ReLU(n.l1.Forward(x))
	return n.l3.Forward(drop(functions.ReLU(n.l2.Forward(h)), n.dropout))
}

func drop(x *nn.Variable, ratio float32) *nn.Variable {
	if ratio == 0 {
		return x
	}
	return functions.Dropout(x, ratio)
}
