package links_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
)

func paths(l links.Link) []string {
	var all []string
	for path := range links.Params(l) {
		all = append(all, path)
	}
	for path := range links.Persistents(l) {
		all = append(all, path)
	}
	return all
}

func TestPaths(t *testing.T) {
	net := links.Sequential(
		links.Convolution2D(4, 3, links.NoBias()), functions.ReLU,
		links.BatchNormalization(4, links.NoBeta()),
		links.Sequential(links.Linear(5), functions.ReLU, links.Linear(2)))
	model := links.Classifier(net)
	want := []string{
		"predictor/0/W", "predictor/1/gamma", "predictor/2/0/W", "predictor/2/0/b", "predictor/2/1/W", "predictor/2/1/b",
		"predictor/1/avg_mean", "predictor/1/avg_var"}
	if got := paths(model); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// Below the root, paths are relative: what is saved can be loaded alone.
	if got := paths(net); got[0] != "0/W" {
		t.Errorf("the net's own paths start with %s", got[0])
	}
	list := links.ChainList(links.Linear(3), links.EmbedID(4, 2))
	list.Append(links.LSTM(2))
	if got := paths(list); !slices.Equal(got, []string{"0/W", "0/b", "1/W", "2/upward/W", "2/upward/b", "2/lateral/W"}) || len(list.Links()) != 3 {
		t.Errorf("the list's paths are %v", got)
	}
	var children []string
	for name := range links.Children(net) {
		children = append(children, name)
	}
	if !slices.Equal(children, []string{"0", "1", "2"}) || len(net.Layers()) != 4 {
		t.Errorf("children %v, %d layers", children, len(net.Layers()))
	}
}

// TestStartDependsOnPathAndSeed: the order in which a network is put together,
// and whether sizes are given or found out, must not matter.
func TestStartDependsOnPathAndSeed(t *testing.T) {
	values := func(seed uint64, opts ...links.Option) []float32 {
		net := links.Sequential(links.Linear(6, opts...), functions.ReLU, links.Linear(2))
		model := links.Classifier(net)
		links.Seed(model, seed)
		model.Forward(nn.From(nil, wave(8), 2, 4))
		var all []float32
		for _, p := range links.Params(model) {
			all = append(all, p.Floats()...)
		}
		return all
	}
	a := values(1)
	if !slices.Equal(a, values(1, links.InSize(4))) {
		t.Error("giving the input's size changes the start")
	}
	if slices.Equal(a, values(2)) {
		t.Error("the seed has no effect")
	}
	if len(a) != 6*4+6+2*6+2 {
		t.Errorf("%d values", len(a))
	}
}

func TestErrorsNameLayerAndShapes(t *testing.T) {
	wide := func(shape ...int) *nn.Variable {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return nn.From(nil, make([]float32, n), shape...)
	}
	model := links.Classifier(links.Sequential(links.Linear(6, links.InSize(5)), links.Linear(2)))
	named := newCNN()
	tests := []struct {
		name string
		y    *nn.Variable
		want error
		says []string
	}{
		{"linear", model.Forward(wide(3, 4)), nn.ErrShape, []string{"links_test.go", "layer predictor/0", "(3, 4)", "(6, 5)"}},
		{"convolution of a matrix", links.Convolution2D(3, 3).Forward(wide(3, 4)), nn.ErrShape, []string{"Convolution2D"}},
		{"convolution too large", links.Convolution2D(3, 7).Forward(wide(1, 1, 4, 4)), nn.ErrShape, []string{"Convolution2D", "(1, 1, 4, 4)"}},
		{"stride", links.Convolution2D(3, 3, links.Stride(1, 2, 3)).Forward(wide(1, 1, 9, 9)), nn.ErrValue, []string{"Convolution2D", "Stride takes one number, or height and width, not 3"}},
		{"padding", links.Convolution2D(3, 3, links.Pad(-1)).Forward(wide(1, 1, 9, 9)), nn.ErrValue, []string{"Pad -1, want at least 0"}},
		{"kernel", links.Convolution2D(3, 0).Forward(wide(1, 1, 9, 9)), nn.ErrValue, []string{"kernel size 0"}},
		{"groups of outputs", links.Convolution2D(3, 3, links.Groups(2)).Forward(wide(1, 2, 9, 9)), nn.ErrValue, []string{"2 groups must divide", "? and 3"}},
		{"groups of inputs", links.Convolution2D(4, 3, links.Groups(2)).Forward(wide(1, 1, 9, 9)), nn.ErrShape, []string{"Convolution2D", "2 groups can't divide the 1 channels of x (1, 1, 9, 9)"}},
		{"outputs of a deconvolution", links.Deconvolution2D(0, 3).Forward(wide(1, 1, 9, 9)), nn.ErrValue, []string{"Deconvolution2D", "output channels 0"}},
		{"outputs", links.Sequential(links.Linear(-1)).Forward(wide(1, 784)), nn.ErrValue, []string{"Linear (layer 0)", "outputs -1, want at least 1"}},
		{"another link's option", links.Linear(10, links.NoBias(), links.Stride(2)).Forward(wide(1, 4)), nn.ErrValue, []string{"Linear has no use for the option Stride; it takes InSize"}},
		{"vocabulary", links.EmbedID(0, 3).Forward(nn.From(nil, []int32{0}, 1)), nn.ErrValue, []string{"vocabulary 0"}},
		{"channels", links.BatchNormalization(-3).Forward(wide(2, 4)), nn.ErrValue, []string{"channels -3"}},
		{"units", links.LSTM(0).Forward(wide(2, 4)), nn.ErrValue, []string{"LSTM:", "units 0, want at least 1"}},
		{"units of a GRU", links.GRU(-1).Forward(wide(2, 4)), nn.ErrValue, []string{"GRU:", "units -1"}},
		{"nil function", links.Sequential((func(*nn.Variable) *nn.Variable)(nil)).Forward(wide(1, 2)), nn.ErrValue, []string{"layer 0 is a nil function"}},
		{"batch normalisation", links.BatchNormalization(3).Forward(wide(2, 4, 5)), nn.ErrShape, []string{"BatchNormalization", "(2, 4, 5)"}},
		{"embedding out of range", links.EmbedID(3, 2).Forward(nn.From(nil, []int32{0, 3}, 2)), nn.ErrValue, []string{"EmbedID", "3"}},
		{"no layer", links.Sequential(links.Linear(2), 7).Forward(wide(1, 2)), nn.ErrValue, []string{"layer 1 is a int"}},
		{"deep", func() *nn.Variable { _, y := named.Forward(wide(1, 1, 2, 2)); return y }(), nn.ErrShape, []string{"Convolution2D (layer conv1)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.y.Err()
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			for _, text := range tt.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
		})
	}
}

// TestConvolution1D holds it against the function, and learns its size from x.
func TestConvolution1D(t *testing.T) {
	l := links.Convolution1D(4, 3, links.Stride(2), links.Pad(1), links.Groups(2), links.InitBias(nn.Constant(0.5)))
	x := nn.From(nil, wave(2*6*9), 2, 6, 9)
	y := l.Forward(x)
	if y.Err() != nil || !slices.Equal(y.Shape(), []int{2, 4, 5}) || !slices.Equal(l.W.Shape(), []int{4, 3, 3}) {
		t.Fatal(y.Err(), y.Shape(), l.W.Shape())
	}
	want := functions.Convolution1D(x, &l.W.Variable, &l.B.Variable, functions.Stride(2), functions.Padding(1), functions.Groups(2))
	closeTo(t, "y", y.Floats(), want.Floats(), 0, 0)
	for name, c := range map[string]struct {
		y    *nn.Variable
		says string
	}{
		"matrix":  {links.Convolution1D(4, 3).Forward(nn.From(nil, wave(6), 2, 3)), "Convolution1D"},
		"groups":  {links.Convolution1D(4, 3, links.Groups(2)).Forward(nn.From(nil, wave(9), 1, 3, 3)), "2 groups can't divide the 3 channels"},
		"options": {links.Convolution1D(4, 3, links.Kernel(1, 2)).Forward(x), "no use for the option Kernel"},
	} {
		if err := c.y.Err(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
	}
}

// TestBadArgumentsAreNotSaved: what can't run can't be saved or optimized either.
func TestBadArgumentsAreNotSaved(t *testing.T) {
	net := links.Sequential(links.Linear(3, links.InSize(2)), links.Linear(3, links.InSize(-1)))
	if err := serializers.WriteNPZ(&bytes.Buffer{}, net); !errors.Is(err, nn.ErrValue) || !strings.Contains(err.Error(), `link "1/": `) {
		t.Error(err)
	}
}

func TestNamesAreChecked(t *testing.T) {
	for _, name := range []string{"", "a/b", "W"} {
		n := links.Linear(3)
		links.Add(n, name, links.Linear(2))
		if err := links.Check(n); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
		if err := serializers.WriteNPZ(&bytes.Buffer{}, n); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("saving a link with the name %q: %v", name, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	var file bytes.Buffer
	saved := links.Sequential(links.Linear(4, links.InSize(3)), links.Linear(2, links.InSize(4)))
	if err := serializers.WriteNPZ(&file, saved); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		into links.Link
		want error
		says string
	}{
		{"another size", links.Sequential(links.Linear(5), links.Linear(2)), serializers.ErrShape, "0/W: shape in the file does not fit: expected (5, ?), found (4, 3)"},
		{"another kind", links.Sequential(links.Convolution2D(4, 3), links.Linear(2)), serializers.ErrShape, "expected (4, ?, 3, 3), found (4, 3)"},
		{"more layers", links.Sequential(links.Linear(4), links.Linear(2), links.Linear(2)), serializers.ErrMissing, "2/W, 2/b"},
		{"fewer layers", links.Sequential(links.Linear(4)), serializers.ErrExtra, "1/W, 1/b"},
		{"no bias", links.Sequential(links.Linear(4, links.NoBias()), links.Linear(2)), serializers.ErrExtra, "0/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := serializers.LoadNPZBytes(file.Bytes(), tt.into)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
	if err := serializers.WriteNPZ(&bytes.Buffer{}, links.Linear(3)); !errors.Is(err, nn.ErrUninitialized) || !strings.Contains(err.Error(), "W") {
		t.Errorf("saving before the first input: %v", err)
	}
	lazy := links.Sequential(links.Linear(4), links.Linear(2))
	if err := serializers.LoadNPZBytes(file.Bytes(), lazy); err != nil {
		t.Fatal(err)
	}
	x := nn.From(nil, wave(6), 2, 3)
	if !slices.Equal(lazy.Forward(x).Floats(), saved.Forward(x).Floats()) {
		t.Error("the loaded network computes something else")
	}
}

func TestBatchNormalizationAverages(t *testing.T) {
	l := links.BatchNormalization(2, links.Decay(0.75))
	x := nn.From(nn.NewTape(nn.Train), []float32{1, 10, 3, 30, 5, 50, 7, 70}, 4, 2)
	y := l.Forward(x)
	if y.Err() != nil {
		t.Fatal(y.Err())
	}
	// Means are 4 and 40, unbiased variances 20/3 and 2000/3.
	closeTo(t, "avg_mean", l.AvgMean.Floats(), []float32{1, 10}, 1e-6, 1e-5)
	closeTo(t, "avg_var", l.AvgVar.Floats(), []float32{0.75 + 0.25*20/3, 0.75 + 0.25*2000/3}, 1e-6, 1e-5)
	before := slices.Clone(l.AvgMean.Floats())
	fixed := l.Forward(nn.From(nn.NewTape(nn.Evaluate), []float32{1, 10}, 1, 2))
	closeTo(t, "evaluated", fixed.Floats(), []float32{0, 0}, 1e-6, 0)
	if !slices.Equal(l.AvgMean.Floats(), before) {
		t.Error("evaluating changed the averages")
	}
	bare := links.BatchNormalization(0, links.NoGamma(), links.NoBeta())
	closeTo(t, "without gamma and beta", bare.Forward(x).Floats(), y.Floats(), 1e-6, 1e-5)
	if got := paths(bare); !slices.Equal(got, []string{"avg_mean", "avg_var"}) {
		t.Errorf("parameters %v", got)
	}
}

// TestLSTMShrinkingBatch: sequences sorted by falling length may leave the
// batch as they end.
func TestLSTMShrinkingBatch(t *testing.T) {
	l := links.LSTM(3, links.InSize(2))
	l.Forward(nn.From(nil, wave(6), 3, 2))
	_, before := l.State()
	kept := slices.Clone(before.Floats()[3:])
	h := l.Forward(nn.From(nil, wave(2), 1, 2))
	if !slices.Equal(h.Shape(), []int{1, 3}) {
		t.Errorf("one row in, %v out", h.Shape())
	}
	c, all := l.State()
	if !slices.Equal(all.Floats()[3:], kept) || c.Dim(0) != 3 {
		t.Error("the state of ended sequences changed")
	}
	l.ResetState()
	if c, h := l.State(); c != nil || h != nil {
		t.Error("ResetState left a state")
	}
}

// TestOtherSequencesNeedReset: what is read must belong to the sequences under
// way.
func TestOtherSequencesNeedReset(t *testing.T) {
	lstm, gru, stateless := links.LSTM(3), links.GRU(3), links.StatelessLSTM(3)
	net := links.Sequential(lstm)
	links.Add(net, "gru", gru)
	x := func(rows int) *nn.Variable { return nn.From(nil, wave(2*rows), rows, 2) }
	step := func(c, h *nn.Variable, rows int) *nn.Variable { _, h = stateless.Step(c, h, x(rows)); return h }
	lstm.Forward(x(2))
	gru.Forward(x(2))
	for name, c := range map[string]struct {
		y    *nn.Variable
		says []string
	}{
		"lstm, more rows": {lstm.Forward(x(5)), []string{"LSTM (layer 0)", "x is (5, 2)", "have 2 rows", "ResetState"}},
		"gru, more rows":  {gru.Forward(x(5)), []string{"GRU (layer gru)", "x is (5, 2)", "have 2 rows", "ResetState"}},
		"gru, fewer rows": {gru.Forward(x(1)), []string{"GRU (layer gru)", "as many rows"}},
		"stateless":       {step(nil, nn.From(nil, wave(3), 1, 3), 2), []string{"LSTM:", "have 1 rows"}},
		"another width":   {step(nil, nn.From(nil, wave(4), 2, 2), 2), []string{"the state is (2, 2), want (rows, 3)"}},
	} {
		for _, text := range c.says {
			if err := c.y.Err(); !errors.Is(err, nn.ErrShape) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v does not say %q", name, err, text)
			}
		}
	}
	if y := lstm.Forward(x(2)); y.Err() != nil {
		t.Errorf("the state was lost: %v", y.Err())
	}
	lstm.ResetState()
	if y := lstm.Forward(x(5)); y.Err() != nil {
		t.Error(y.Err())
	}
}

// TestFresh: an evaluation begins sequences of its own, in its own mode, and the
// training goes on where it was.
func TestFresh(t *testing.T) {
	lstm, gru := links.LSTM(3), links.GRU(2)
	net := links.Sequential(lstm, gru)
	x := func(mode nn.Mode, rows int) *nn.Variable { return nn.From(nn.NewTape(mode), wave(2*rows), rows, 2) }
	first := slices.Clone(net.Forward(x(nn.Train, 2)).Floats())
	c, h := lstm.State()
	g := gru.State()
	restore := links.Fresh(net)
	for range 2 {
		if y := net.Forward(x(nn.Evaluate, 4)); y.Err() != nil || y.Tape().Training() {
			t.Fatal("in the evaluation", y.Err())
		}
	}
	restore()
	if c2, h2 := lstm.State(); c2 != c || h2 != h || gru.State() != g {
		t.Error("the states weren't restored")
	}
	if y := net.Forward(x(nn.Evaluate, 2)); y.Err() != nil || y.Tape().Training() || slices.Equal(y.Floats(), first) {
		t.Error("the second step is in another mode, or a first one", y.Err())
	}
}

// TestStateSurvivesRelease: truncated backpropagation through time.
func TestStateSurvivesRelease(t *testing.T) {
	n := links.Sequential(links.LSTM(3), links.GRU(2))
	tape := nn.NewTape(nn.Train, nn.Recycle())
	for step := range 3 {
		var sum *nn.Variable
		for range 4 {
			y := functions.Sum(n.Forward(nn.From(tape, wave(4), 2, 2)))
			if sum != nil {
				y = functions.Add(y, sum)
			}
			sum = y
		}
		links.ClearGrads(n)
		if err := sum.Backward(); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for path, p := range links.Params(n) {
			if g := p.GradFloats(); g == nil || slices.ContainsFunc(g, func(v float32) bool { return math.IsNaN(float64(v)) }) {
				t.Errorf("step %d: gradient of %s is %v", step, path, g)
			}
		}
		tape.Release()
	}
}

func TestShareParams(t *testing.T) {
	a := links.Sequential(links.Linear(3, links.InSize(2)), links.BatchNormalization(3))
	b := links.Sequential(links.Linear(3), links.BatchNormalization(0))
	if err := links.ShareParams(b, a); err != nil {
		t.Fatal(err)
	}
	for path, p := range links.Params(a) {
		p.Floats()[0] = 42
		for other, q := range links.Params(b) {
			if other == path && q.Floats()[0] != 42 {
				t.Errorf("%s is not shared", path)
			}
		}
	}
	if err := links.ShareParams(links.Linear(3), a); err == nil {
		t.Error("networks with different parameters were shared")
	}
	if err := links.ShareParams(links.Sequential(links.Linear(4, links.InSize(2)), links.BatchNormalization(3)), a); !errors.Is(err, nn.ErrShape) {
		t.Errorf("sharing between shapes: %v", err)
	}
}

// TestGradients checks every link's parameters numerically: the analytic
// gradient against the slope of a smooth loss.
func TestGradients(t *testing.T) {
	image := func(t *nn.Tape) *nn.Variable { return nn.From(t, wave(2*2*5*6), 2, 2, 5, 6) }
	matrix := func(t *nn.Tape) *nn.Variable { return nn.From(t, wave(3*4), 3, 4) }
	ids := func(t *nn.Tape) *nn.Variable { return nn.From(t, []int32{2, -1, 0, 2}, 4) }
	twice := func(l links.Layer, reset func()) func(*nn.Variable) *nn.Variable {
		return func(x *nn.Variable) *nn.Variable { reset(); l.Forward(x); return l.Forward(x) }
	}
	lstm, gru := links.LSTM(3), links.GRU(3)
	linear, embed, bn := links.Linear(3), links.EmbedID(4, 2, links.IgnoreLabel(-1)), links.BatchNormalization(2)
	conv := links.Convolution2D(4, 3, links.Stride(2, 1), links.Pad(1), links.Groups(2))
	dilated := links.Convolution2D(3, 2, links.Dilate(2), links.Kernel(2, 3))
	deconv := links.Deconvolution2D(3, 3, links.Stride(2), links.Pad(1))
	tests := []struct {
		name    string
		link    links.Link
		forward func(*nn.Variable) *nn.Variable
		x       func(*nn.Tape) *nn.Variable
	}{
		{"linear", linear, linear.Forward, matrix},
		{"embed", embed, embed.Forward, ids},
		{"convolution", conv, conv.Forward, image},
		{"dilated convolution", dilated, dilated.Forward, image},
		{"deconvolution", deconv, deconv.Forward, image},
		{"batch normalisation", bn, bn.Forward, image},
		{"lstm", lstm, twice(lstm, lstm.ResetState), matrix},
		{"gru", gru, twice(gru, gru.ResetState), matrix},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loss := func() *nn.Variable {
				y := tt.forward(tt.x(nil))
				weights := nn.From(nil, wave(len(y.Floats())), y.Shape()...)
				return functions.Sum(functions.Mul(functions.Tanh(y), weights))
			}
			links.ClearGrads(tt.link)
			if err := loss().Backward(); err != nil {
				t.Fatal(err)
			}
			for path, p := range links.Params(tt.link) {
				analytic := slices.Clone(p.GradFloats())
				for _, i := range []int{0, len(analytic) / 2, len(analytic) - 1} {
					slope := slopeAt(p.Floats(), i, func() float64 { return float64(loss().Float()) })
					if d := math.Abs(slope - float64(analytic[i])); d > 2e-3+2e-2*math.Abs(slope) {
						t.Errorf("gradient of %s[%d] is %v, numerically %v", path, i, analytic[i], slope)
					}
				}
			}
		})
	}
}

func slopeAt(values []float32, i int, f func() float64) float64 {
	const h = 1e-2
	v := values[i]
	values[i] = v + h
	up := f()
	values[i] = v - h
	down := f()
	values[i] = v
	return (up - down) / (2 * h)
}

func TestClassifierReports(t *testing.T) {
	model := links.Classifier(links.Sequential(links.Linear(3, links.InitW(nn.Values([]float32{5, 0, 0, 5, 0, 0})))))
	batch := []datasets.Example{{X: []float32{1, 0}, Shape: []int{2}, Label: 0}, {X: []float32{0, 1}, Shape: []int{2}, Label: 2}}
	var report links.Report
	loss := model.Loss(nn.NewTape(nn.Evaluate), batch, &report)
	got := map[string]float64{}
	for name, v := range report.All() {
		got[name] = v
	}
	if loss.Err() != nil || got["accuracy"] != 0.5 || got["loss"] != float64(loss.Float()) {
		t.Errorf("loss %v, report %v", loss.Float(), got)
	}
	if err := model.Loss(nil, nil, nil).Err(); err == nil {
		t.Error("an empty batch has a loss")
	}
	if err := links.Classifier(links.Func(functions.ReLU)).Loss(nil, batch, nil).Err(); err == nil || !strings.Contains(err.Error(), "no parameters") {
		t.Errorf("a classifier around a function: %v", err)
	}
}

func Example() {
	net := links.Sequential(
		links.Linear(4), functions.ReLU,
		links.Linear(2))
	y := net.Forward(nn.From(nil, []float32{1, 2, 3}, 1, 3))
	fmt.Println(y.Shape())
	for path, p := range links.Params(net) {
		fmt.Println(path, p.Shape())
	}
	// Output:
	// (1, 2)
	// 0/W (4, 3)
	// 0/b (4)
	// 1/W (2, 4)
	// 1/b (2)
}
