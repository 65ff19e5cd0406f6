package links_test

import (
	"bytes"
	"math"
	"path/filepath"
	"testing"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// The fixtures were written by Chainer 7.8.1: NAME.npz are a link's parameters,
// NAME_io.npz inputs and outputs. See testdata/README.md.

func load(t *testing.T, name string, l links.Link, opts ...serializers.Option) {
	t.Helper()
	if err := serializers.LoadNPZ(filepath.Join("testdata", name), l, opts...); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, name string) map[string]npz.Array {
	t.Helper()
	entries, err := npz.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	arrays := map[string]npz.Array{}
	for _, e := range entries {
		arrays[e.Name] = e.Array
	}
	return arrays
}

func input(t *testing.T, tape *nn.Tape, a npz.Array) *nn.Variable {
	t.Helper()
	if f, err := a.Float32s(); err == nil && a.Type == npz.Float32 {
		return nn.From(tape, f, a.Shape...)
	}
	return nn.From(tape, ints(t, a), a.Shape...)
}

func ints(t *testing.T, a npz.Array) []int32 {
	t.Helper()
	wide, err := a.Int64s()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(wide))
	for i, v := range wide {
		out[i] = int32(v)
	}
	return out
}

func floats(t *testing.T, a npz.Array) []float32 {
	t.Helper()
	f, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// within holds outputs against the fixtures' tolerance.
func within(t *testing.T, what string, got *nn.Variable, want npz.Array) {
	t.Helper()
	if err := got.Err(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	closeTo(t, what, got.Floats(), floats(t, want), 1e-5, 1e-4)
}

func closeTo(t *testing.T, what string, got, want []float32, absolute, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= absolute+relative*math.Abs(float64(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

// mlp is l1 relu l2 relu l3.
type mlp struct {
	links.Chain
	l1, l2, l3 *links.LinearLink
}

func newMLP() *mlp {
	n := &mlp{}
	n.l1 = links.Add(n, "l1", links.Linear(20))
	n.l2 = links.Add(n, "l2", links.Linear(16))
	n.l3 = links.Add(n, "l3", links.Linear(5))
	return n
}

func (n *mlp) Forward(x *nn.Variable) *nn.Variable {
	h := functions.ReLU(n.l2.Forward(functions.ReLU(n.l1.Forward(x))))
	return n.l3.Forward(h)
}

func TestMLP(t *testing.T) {
	io := record(t, "mlp_io.npz")
	n := newMLP()
	load(t, "mlp.npz", n)
	y := n.Forward(input(t, nn.NewTape(nn.Evaluate), io["x"]))
	within(t, "y", y, io["y"])
	within(t, "softmax", functions.Softmax(y), io["softmax"])

	inner := newMLP()
	load(t, "mlp_classifier.npz", inner, serializers.Prefix("predictor/"))
	within(t, "y of the classifier's net", inner.Forward(input(t, nil, io["x"])), io["y"])

	whole := links.Classifier(newMLP())
	load(t, "mlp_classifier.npz", whole)
	within(t, "y of the classifier", whole.Forward(input(t, nil, io["x"])), io["y"])
}

// cnn is the recorded convolutional network with batch normalisation.
type cnn struct {
	links.Chain
	conv1, conv2 *links.Convolution2DLink
	bn1, bn2     *links.BatchNormalizationLink
	fc1, fc2     *links.LinearLink
}

func newCNN() *cnn {
	n := &cnn{}
	n.conv1 = links.Add(n, "conv1", links.Convolution2D(6, 5, links.Pad(1), links.NoBias()))
	n.bn1 = links.Add(n, "bn1", links.BatchNormalization(6))
	n.conv2 = links.Add(n, "conv2", links.Convolution2D(10, 3, links.Stride(2), links.Pad(1)))
	n.bn2 = links.Add(n, "bn2", links.BatchNormalization(0, links.Eps(1e-4), links.Decay(0.8)))
	n.fc1 = links.Add(n, "fc1", links.Linear(24))
	n.fc2 = links.Add(n, "fc2", links.Linear(10))
	return n
}

func (n *cnn) Forward(x *nn.Variable) (pool1, y *nn.Variable) {
	pool1 = functions.MaxPooling2D(functions.ReLU(n.bn1.Forward(n.conv1.Forward(x))), 2)
	h := functions.LeakyReLU(n.bn2.Forward(n.conv2.Forward(pool1)), 0.1)
	h = functions.AveragePooling2D(h, 2, functions.Stride(1))
	h = functions.Dropout(h, 0.25)
	h = functions.Dropout(functions.ReLU(n.fc1.Forward(h)), 0.5)
	return pool1, n.fc2.Forward(h)
}

func TestCNN(t *testing.T) {
	io := record(t, "cnn_bn_dropout_io.npz")
	n := newCNN()
	load(t, "cnn_bn_dropout.npz", n)
	pool1, y := n.Forward(input(t, nn.NewTape(nn.Evaluate), io["x"]))
	within(t, "after_pool1", pool1, io["after_pool1"])
	within(t, "y", y, io["y"])

	var saved bytes.Buffer
	if err := serializers.WriteNPZ(&saved, n); err != nil {
		t.Fatal(err)
	}
	again := newCNN()
	if err := serializers.LoadNPZBytes(saved.Bytes(), again); err != nil {
		t.Fatal(err)
	}
	_, y = again.Forward(input(t, nn.NewTape(nn.Evaluate), io["x"]))
	within(t, "y after saving and loading", y, io["y"])
}

// cells are the recurrent cells, driven step by step.
type cells struct {
	links.Chain
	stateless *links.StatelessLSTMLink
	lstm      *links.LSTMLink
	gru       *links.GRULink
}

func TestRecurrentCells(t *testing.T) {
	io := record(t, "lstm_cells_io.npz")
	n := &cells{}
	n.stateless = links.Add(n, "stateless", links.StatelessLSTM(10))
	n.lstm = links.Add(n, "lstm", links.LSTM(10))
	n.gru = links.Add(n, "gru", links.GRU(10))
	load(t, "lstm_cells.npz", n)
	xs := input(t, nn.NewTape(nn.Evaluate), io["xs"])
	for range 2 { // the second time after ResetState
		var c, h *nn.Variable
		for step, x := range functions.Separate(xs, 0) {
			c, h = n.stateless.Step(c, h, x)
			lstm := n.lstm.Forward(h)
			gru := n.gru.Forward(h)
			for name, got := range map[string]*nn.Variable{"stateless_c": c, "stateless_h": h, "lstm_h": lstm, "gru_h": gru} {
				if got.Err() != nil {
					t.Fatal(got.Err())
				}
				want := floats(t, io[name])[step*30 : (step+1)*30]
				closeTo(t, name, got.Floats(), want, 1e-5, 1e-4)
			}
		}
		n.lstm.ResetState()
		n.gru.ResetState()
	}
}

// tree is the network of Chainer's sentiment example: a node is made of its
// children, so each example builds a network of its own shape.
type tree struct {
	links.Chain
	embed *links.EmbedIDLink
	l, w  *links.LinearLink
}

func TestTree(t *testing.T) {
	io := record(t, "tree_io.npz")
	n := &tree{}
	n.embed = links.Add(n, "embed", links.EmbedID(20, 8))
	n.l = links.Add(n, "l", links.Linear(8))
	n.w = links.Add(n, "w", links.Linear(5))
	load(t, "tree.npz", n)

	nodes, labels := ints(t, io["nodes"]), ints(t, io["labels"])
	tape := nn.NewTape(nn.Train)
	var loss *nn.Variable
	var roots []*nn.Variable
	first := 0
	for _, size := range ints(t, io["tree_len"]) {
		values := make([]*nn.Variable, size)
		for i := range values {
			row := nodes[3*(first+i) : 3*(first+i)+3]
			if row[0] < 0 {
				values[i] = n.embed.Forward(nn.From(tape, []int32{row[2]}, 1))
			} else {
				both := functions.Concat([]*nn.Variable{values[row[0]], values[row[1]]}, 1)
				values[i] = functions.Tanh(n.l.Forward(both))
			}
			e := functions.SoftmaxCrossEntropy(n.w.Forward(values[i]), nn.From(tape, labels[first+i:first+i+1], 1))
			if loss == nil {
				loss = e
			} else {
				loss = functions.Add(loss, e)
			}
		}
		roots = append(roots, n.w.Forward(values[size-1]))
		first += int(size)
	}
	within(t, "root_scores", functions.Concat(roots, 0), io["root_scores"])
	within(t, "loss", loss, io["loss"])
	if err := loss.Backward(); err != nil {
		t.Fatal(err)
	}
	for path, p := range links.Params(n) {
		closeTo(t, "gradient of "+path, p.GradFloats(), floats(t, io["grad:/"+path]), 1e-4, 1e-3)
	}
}
