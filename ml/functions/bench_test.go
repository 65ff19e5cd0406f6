package functions_test

import (
	"fmt"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// network is a list of parameters and a forward pass to a loss.
type network struct {
	params []*nn.Parameter
	loss   func(p []*nn.Parameter, x, t *nn.Variable) *nn.Variable
}

func (n *network) param(name string, shape ...int) {
	n.params = append(n.params, nn.NewParameter(name, nn.HeNormal(), shape...))
}

func mlp() *network {
	n := &network{}
	n.param("l1/W", 1000, 784)
	n.param("l1/b", 1000)
	n.param("l2/W", 1000, 1000)
	n.param("l2/b", 1000)
	n.param("l3/W", 10, 1000)
	n.param("l3/b", 10)
	n.loss = func(p []*nn.Parameter, x, t *nn.Variable) *nn.Variable {
		h := f.ReLU(f.Linear(x, &p[0].Variable, &p[1].Variable))
		h = f.ReLU(f.Linear(h, &p[2].Variable, &p[3].Variable))
		return f.SoftmaxCrossEntropy(f.Linear(h, &p[4].Variable, &p[5].Variable), t)
	}
	return n
}

func cnn() *network {
	n := &network{}
	n.param("c1/W", 32, 1, 5, 5)
	n.param("c1/b", 32)
	n.param("c2/W", 64, 32, 5, 5)
	n.param("c2/b", 64)
	n.param("l1/W", 512, 1024)
	n.param("l1/b", 512)
	n.param("l2/W", 10, 512)
	n.param("l2/b", 10)
	n.loss = func(p []*nn.Parameter, x, t *nn.Variable) *nn.Variable {
		h := f.MaxPooling2D(f.ReLU(f.Convolution2D(f.Reshape(x, -1, 1, 28, 28), &p[0].Variable, &p[1].Variable)), 2)
		h = f.MaxPooling2D(f.ReLU(f.Convolution2D(h, &p[2].Variable, &p[3].Variable)), 2)
		h = f.ReLU(f.Linear(h, &p[4].Variable, &p[5].Variable))
		return f.SoftmaxCrossEntropy(f.Linear(h, &p[6].Variable, &p[7].Variable), t)
	}
	return n
}

// resnet is a small residual network: five convolutions, each with batch
// normalisation, and both poolings.
func resnet() *network {
	n := &network{}
	sizes := []int{1, 32, 32, 32, 64, 64}
	for i, c := range sizes[1:] {
		name := fmt.Sprint(i)
		n.param("W"+name, c, sizes[i], 3, 3)
		n.param("gamma"+name, c)
		n.param("beta"+name, c)
	}
	n.param("l/W", 10, 64)
	n.param("l/b", 10)
	n.loss = func(p []*nn.Parameter, x, t *nn.Variable) *nn.Variable {
		layer := func(h *nn.Variable, i int) *nn.Variable {
			h = f.Convolution2D(h, &p[3*i].Variable, nil, f.Padding(1))
			h, _, _ = f.BatchNormalization(h, &p[3*i+1].Variable, &p[3*i+2].Variable, 2e-5)
			return h
		}
		h := f.ReLU(layer(f.Reshape(x, -1, 1, 28, 28), 0))
		h = f.ReLU(f.Add(h, layer(f.ReLU(layer(h, 1)), 2)))
		h = f.ReLU(layer(f.MaxPooling2D(h, 2), 3))
		h = f.AveragePooling2D(f.ReLU(layer(h, 4)), 2)
		return f.SoftmaxCrossEntropy(f.Linear(f.GlobalAveragePooling2D(h), &p[15].Variable, &p[16].Variable), t)
	}
	return n
}

// benchmarkTraining runs forward and backward passes of MNIST size, without the
// optimizer; 600 are an epoch at batch 100.
func benchmarkTraining(b *testing.B, n *network, batch int, mode nn.Mode) {
	tape := nn.NewTape(mode, nn.Recycle())
	images, labels := make([]float32, batch*784), make([]int32, batch)
	for i := range images {
		images[i] = float32(i%17) / 17
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range n.params {
			p.ClearGrad()
		}
		loss := n.loss(n.params, nn.From(tape, images, batch, 784), nn.From(tape, labels, batch))
		if err := loss.Err(); err != nil {
			b.Fatal(err)
		}
		if mode == nn.Train {
			if err := loss.Backward(); err != nil {
				b.Fatal(err)
			}
		}
		tape.Release()
	}
	b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
}

func BenchmarkTrainMLP(b *testing.B)    { benchmarkTraining(b, mlp(), 100, nn.Train) }
func BenchmarkTrainCNN(b *testing.B)    { benchmarkTraining(b, cnn(), 100, nn.Train) }
func BenchmarkTrainResNet(b *testing.B) { benchmarkTraining(b, resnet(), 100, nn.Train) }
func BenchmarkEvaluateMLP(b *testing.B) { benchmarkTraining(b, mlp(), 100, nn.Evaluate) }
func BenchmarkEvaluateCNN(b *testing.B) { benchmarkTraining(b, cnn(), 100, nn.Evaluate) }

// BenchmarkSmallOps measures what one recorded call costs beside its arithmetic.
func BenchmarkSmallOps(b *testing.B) {
	tape := nn.NewTape(nn.Train, nn.Recycle())
	w := nn.NewParameter("w", nn.Constant(1), 4, 4)
	x := make([]float32, 4)
	b.ReportAllocs()
	for b.Loop() {
		h := nn.From(tape, x, 1, 4)
		for range 10 {
			h = f.Tanh(f.Linear(h, &w.Variable, nil))
		}
		w.ClearGrad()
		if err := f.Sum(h).Backward(); err != nil {
			b.Fatal(err)
		}
		tape.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/21, "ns/call")
}
