package compile_test

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/compile"
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/internal/race"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

func run(t testing.TB, w *compile.Worker, x []float32, n int) []float32 {
	t.Helper()
	y, err := w.Run(x, n)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// near holds results against each other within the fixtures' tolerance.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5+1e-4*math.Abs(float64(want[i]))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestComputesWhatTheNetworkDoes compares compiled models with the network
// itself, define-by-run.
func TestComputesWhatTheNetworkDoes(t *testing.T) {
	for _, n := range nets() {
		t.Run(n.name, func(t *testing.T) {
			m := compiled(t, n)
			const batch = 5
			x := rows(m, batch)
			want := []float32{}
			for i := range batch { // a row of its own: the nets may hold shapes of one row
				v := n.forward(nn.From(nn.NewTape(nn.Evaluate), x[i*m.InputLen():(i+1)*m.InputLen()], append([]int{1}, n.shape...)...))
				if v.Err() != nil {
					t.Fatal(v.Err())
				}
				want = append(want, v.Floats()...)
			}
			near(t, n.name, run(t, m.NewWorker(8), x, batch), want)
		})
	}
}

// TestRowsAreAlone compares every row of batches of 1 to 64 with the same row
// alone, bit for bit, in workers of several sizes.
func TestRowsAreAlone(t *testing.T) {
	for _, n := range nets() {
		t.Run(n.name, func(t *testing.T) {
			m := compiled(t, n)
			const most = 64
			x, k, l := rows(m, most), m.InputLen(), m.OutputLen()
			one := m.NewWorker(1)
			want := make([]float32, 0, most*l)
			for i := range most {
				want = append(want, run(t, one, x[i*k:(i+1)*k], 1)...)
			}
			for _, max := range []int{1, 7, most} {
				w := m.NewWorker(max)
				for batch := 1; batch <= max; batch++ {
					from := (most - batch) / 2
					got := run(t, w, x[from*k:(from+batch)*k], batch)
					for i := range got {
						if math.Float32bits(got[i]) != math.Float32bits(want[from*l+i]) {
							t.Fatalf("batch of %d: row %d value %d is %v, alone %v", batch, i/l, i%l, got[i], want[from*l+i])
						}
					}
				}
			}
		})
	}
}

// TestEveryLevel runs the tests above at each CPU level that this processor has.
func TestEveryLevel(t *testing.T) {
	if race.On {
		t.Skip("the portable kernels take minutes under the race detector; make test runs this without it")
	}
	for l := kernel.Portable; l <= kernel.BestLevel(); l++ {
		if l == kernel.ActiveLevel() {
			continue
		}
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			pattern := "^(TestComputesWhatTheNetworkDoes|TestRowsAreAlone)$"
			if testing.Short() {
				pattern += "/^(odd|residual)$"
			}
			cmd := exec.Command(os.Args[0], "-test.run="+pattern, "-test.v")
			cmd.Env = append(os.Environ(), kernel.EnvCPU+"="+l.String())
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestRowsAreAlone") {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// TestTapeMachine runs the same traces in Gorgonia's machine.
func TestTapeMachine(t *testing.T) {
	for _, n := range nets() {
		t.Run(n.name, func(t *testing.T) {
			m := compiled(t, n)
			x := rows(m, 1)
			in, err := nn.NewArray(x, append([]int{1}, n.shape...)...)
			if err != nil {
				t.Fatal(err)
			}
			trace, err := graph.Record(nn.Evaluate, func(x []*nn.Variable) []*nn.Variable {
				return []*nn.Variable{n.forward(x[0])}
			}, in)
			if err != nil {
				t.Fatal(err)
			}
			g, err := graph.Build(trace, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := gorgonia.Let(g.Inputs[0], in); err != nil {
				t.Fatal(err)
			}
			vm := gorgonia.NewTapeMachine(g.Expr)
			defer vm.Close()
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			near(t, n.name, run(t, m.NewWorker(1), x, 1), g.Outputs[0].Value().(*tensor.Dense).Float32s())
		})
	}
}

// TestMemory sums what one model and its workers take.
func TestMemory(t *testing.T) {
	m := compiled(t, mlp())
	weights := 4 * (784*1000 + 1000 + 1000*1000 + 1000 + 1000*10 + 10)
	if got := m.WeightBytes(); got < weights || got > weights+weights/20 {
		t.Errorf("weights take %d bytes, want %d and at most 5 %% of padding", got, weights)
	}
	const workers, batch = 8, 32
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	x := rows(m, batch)
	before := heap()
	ws := make([]*compile.Worker, workers)
	for i := range ws {
		ws[i] = m.NewWorker(batch)
		run(t, ws[i], x, batch)
	}
	grown, want := int(heap()-before), workers*m.ScratchBytes(batch)
	if grown > want+want/10+64<<10 {
		t.Errorf("%d workers take %d bytes, want %d", workers, grown, want)
	}
	if want > weights/2 {
		t.Errorf("%d workers' scratch is %d bytes, weights %d: it should be small beside one more copy", workers, want, weights)
	}
	runtime.KeepAlive(ws)
}

// TestStepsShareWeights: a recurrent network has one packed copy, however long the
// sequence is.
func TestStepsShareWeights(t *testing.T) {
	lstm := links.Add(&links.Chain{}, "lstm", links.NStepLSTM(1, 5, 32))
	over := func(steps int) int {
		return compiled(t, network{"", func(x *nn.Variable) *nn.Variable {
			_, _, ys := lstm.Forward(nil, nil, []*nn.Variable{f.Reshape(x, steps, 5)})
			return f.Reshape(ys[0], 1, steps*32)
		}, []int{steps * 5}}).WeightBytes()
	}
	if short, long := over(2), over(50); long != short {
		t.Errorf("weights take %d bytes over 2 steps and %d over 50", short, long)
	}
}

// TestLargeFilters: convolutions with many weights run for more rows at once than
// those before, with the results of each row alone.
func TestLargeFilters(t *testing.T) {
	m := compiled(t, network{"", chain(conv("c1", 64, 3), f.ReLU, conv("c2", 1024, 5, links.Stride(4)), f.ReLU,
		conv("c3", 128, 1), conv("c4", 400, 3, links.Pad(1)), f.ReLU, flat, linear("l", 3)), []int{3, 20, 20}})
	if s := m.String(); strings.Count(s, "-- more rows\nconv 5x5 64 to 1024") != 1 {
		t.Errorf("the program is\n%s", s)
	}
	const n = 33
	x := rows(m, n)
	var want []float32
	one := m.NewWorker(1)
	for i := range n {
		want = append(want, run(t, one, x[i*m.InputLen():(i+1)*m.InputLen()], 1)...)
	}
	got := run(t, m.NewWorker(n), x, n)
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("row %d is %v, alone %v", i/m.OutputLen(), got[i], want[i])
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if race.On {
		t.Skip("the race detector allocates; make test runs this without it")
	}
	for _, n := range []network{mlp(), cnn(), residual(), mobile(), sequences()} {
		m := compiled(t, n)
		w, x := m.NewWorker(16), rows(m, 16)
		run(t, w, x, 16)
		if a := testing.AllocsPerRun(20, func() { run(t, w, x, 16) }); a >= 1 {
			t.Errorf("%s: %v allocations in a batch of 16", n.name, a)
		}
	}
}

// TestFusion reads what became of the layers.
func TestFusion(t *testing.T) {
	for _, c := range []struct {
		n    network
		want string
	}{
		{mlp(), `-- all rows
dense 784x1000 + ReLU (1000)
dense 1000x1000 + ReLU (1000)
dense 1000x10 (10)
`},
		{cnn(), `conv 5x5 1 to 32 + ReLU + max 2x2 (32, 12, 12) NHWC
conv 5x5 32 to 64 + ReLU + max 2x2 (64, 4, 4) NHWC
-- all rows
dense 1024x512 + ReLU (512)
dense 512x10 (10)
`},
		{residual(), `to NHWC (3, 37, 41) NHWC
conv 7x7 3 to 16 stride 2x2 + ReLU + max 3x3 (16, 10, 11) NHWC
conv 3x3 16 to 16 + ReLU (16, 10, 11) NHWC
conv 3x3 16 to 16 + ReLU (16, 10, 11) NHWC
conv 3x3 16 to 24 stride 2x2 + ReLU (24, 5, 6) NHWC
conv 3x3 24 to 24 (24, 5, 6) NHWC
conv 1x1 16 to 24 stride 2x2 + ReLU (24, 5, 6) NHWC
average pool 5x6 (24)
-- all rows
dense 24x7 (7)
softmax (7)
`},
		{pixels(), `conv 3x3 1 to 4 (4, 3, 3) NHWC
local response normalisation over 5 (4, 3, 3) NHWC
PReLU (4, 3, 3) NHWC
FixedBatchNormalization, Mul, Add, ReLU, FixedBatchNormalization, Tanh (4, 3, 3) NHWC
to NCHW (4, 3, 3)
`},
		{mobile(), `to NHWC (3, 21, 26) NHWC
conv 3x3 3 to 20 stride 2x2 + ReLU6 (20, 11, 13) NHWC
conv 1x1 20 to 20 + Add, Clip, Mul, Div, Mul, Add (20, 11, 13) NHWC
conv 5x5 20 to 20 + Add, Clip, Mul, Div (20, 11, 13) NHWC
average pool 11x13 (20, 1, 1)
conv 1x1 20 to 5 + ReLU (5, 1, 1)
conv 1x1 5 to 20 + HardSigmoid (20, 1, 1)
Mul per channel (20, 11, 13) NHWC
Sub, Mul (20, 11, 13) NHWC
Add (20, 11, 13) NHWC
FixedBatchNormalization, Mul, ReLU, Sigmoid, Clip, Exp, Mul, Add, Sub, Tanh, Mul, Mul (20, 11, 13) NHWC
conv 1x1 20 to 24 + ReLU6 (24, 11, 13) NHWC
conv 3x3 24 to 24 stride 2x2 + Tanh (24, 6, 7) NHWC
conv 1x1 24 to 24 (24, 6, 7) NHWC
shuffle of 4 groups (6, 4, 6, 7) NHWC
conv 3x3 24 to 12 (12, 4, 5) NHWC
take 6 of 4 (12, 6, 5) NHWC
take 3 of 5 (12, 6, 3) NHWC
deconv 2x2 12 to 7 + Add, Clip, Mul, Div (7, 12, 6) NHWC
conv 1x1 7 to 3 (3, 12, 6) NHWC
-- all rows
dense 216x6 (6)
`},
	} {
		if got := compiled(t, c.n).String(); got != c.want {
			t.Errorf("%s is\n%swant\n%s", c.n.name, got, c.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	bad := links.Linear(3)
	links.Add(&links.Chain{}, "fc1", bad)
	forward := func(x *nn.Variable) *nn.Variable { return bad.Forward(x) }
	if _, err := compile.Network(forward, 4); err != nil { // gives the weights their shape
		t.Fatal(err)
	}
	bad.W.Floats()[7] = float32(math.Inf(-1))
	for _, c := range []struct {
		name    string
		forward func(x *nn.Variable) *nn.Variable
		shape   []int
		is      error
		says    string
	}{
		{"infinite weight", forward, []int{4}, compile.ErrWeights, "fc1/W (3, 4) has -Inf at element 7"},
		{"input that does not fit", linearOf(5, 3), []int{4}, nn.ErrShape, "x has 4 columns, W wants 5"},
		{"integers", func(x *nn.Variable) *nn.Variable { return f.Argmax(x, 1) }, []int{4}, compile.ErrForward, "int32"},
		{"constant", func(x *nn.Variable) *nn.Variable { return nn.From(x.Tape(), []float32{1}, 1, 1) }, []int{4}, compile.ErrForward, "does not depend on its input"},
		{"nothing", func(x *nn.Variable) *nn.Variable { return nil }, []int{4}, graph.ErrNoOutput, ""},
		{"negative row", forward, []int{-3}, nn.ErrShape, "empty dimension"},
		{"endless row", forward, []int{1 << 40, 1 << 40}, nn.ErrShape, "larger than"},
		{"no network", nil, []int{4}, compile.ErrForward, "it is nil"},
		{"an if on the input", func(x *nn.Variable) *nn.Variable {
			if x.Floats()[0] > 0 {
				return f.ReLU(x)
			}
			return f.Neg(x)
		}, []int{4}, nn.ErrRead, "compile/compile_test.go:"},
		{"a loop on what was computed", func(x *nn.Variable) *nn.Variable {
			for h := f.Sum(x, 1); h.Float() > 1; h = f.MulScalar(h, 0.5) {
				x = f.MulScalar(x, 0.5)
			}
			return x
		}, []int{4}, nn.ErrRead, "depend on the input"},
		{"a history that is cut off", func(x *nn.Variable) *nn.Variable { return f.Add(x, f.Exp(x).Detach()) }, []int{4}, nn.ErrRead, ""},
		{"mean of the batch", func(x *nn.Variable) *nn.Variable { return f.Sub(x, f.MeanKeepDims(x, 0)) }, []int{4}, compile.ErrForward, "Mean: forward pass can't be compiled: it goes over the batch axis"},
		{"sum of all", func(x *nn.Variable) *nn.Variable { return f.Div(x, f.BroadcastTo(f.Sum(x), 1, 4)) }, []int{4}, compile.ErrForward, "goes over the batch axis"},
		{"sum of a flat batch", func(x *nn.Variable) *nn.Variable { return f.Sum(f.Flatten(x), 0) }, []int{4}, compile.ErrForward, "goes over the batch axis"},
		{"softmax along the batch", func(x *nn.Variable) *nn.Variable { return f.SoftmaxAlong(x, 0) }, []int{4}, compile.ErrForward, "goes along the batch axis"},
		{"moved batch", func(x *nn.Variable) *nn.Variable { return f.Max(f.Transpose(x, 1, 0, 2), 1) }, []int{2, 3}, compile.ErrForward, "goes over the batch axis"},
		{"each row with each", func(x *nn.Variable) *nn.Variable { return f.MatMulTrans(x, x, false, true) }, []int{4}, compile.ErrForward, "multiplies each row with each"},
		{"sum of rows in a product", func(x *nn.Variable) *nn.Variable { return f.MatMulTrans(x, x, true, false) }, []int{4}, compile.ErrForward, "sums over the batch axis"},
		{"rows and columns", func(x *nn.Variable) *nn.Variable { return f.Add(x, f.Transpose(x)) }, []int{4}, compile.ErrForward, "combines two arrays"},
		{"batch last", func(x *nn.Variable) *nn.Variable { return linearOf(1, 3)(f.Transpose(x)) }, []int{4}, compile.ErrForward, "doesn't have first"},
		{"rows backward", func(x *nn.Variable) *nn.Variable { return f.Flip(x, 0) }, []int{4}, compile.ErrForward, "picks from the batch axis"},
		{"empty row", forward, []int{0}, nn.ErrShape, "empty dimension"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compile.Network(c.forward, c.shape...)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.says)
			}
		})
	}
	w := compiled(t, network{"", linearOf(4, 3), []int{4}}).NewWorker(2)
	for _, c := range []struct{ floats, rows int }{{0, 0}, {12, 3}, {7, 2}, {8, 1}} {
		if _, err := w.Run(make([]float32, c.floats), c.rows); !errors.Is(err, compile.ErrRows) {
			t.Errorf("%d floats as %d rows: %v, want ErrRows", c.floats, c.rows, err)
		}
	}
}

// TestAxesThatAreNotTheBatch: what looks like the batch axis in a trace of one
// row and isn't, or isn't for sure, is computed as the network does.
func TestAxesThatAreNotTheBatch(t *testing.T) {
	for name, forward := range map[string]func(x *nn.Variable) *nn.Variable{
		"a new axis in front":    func(x *nn.Variable) *nn.Variable { return f.Sum(f.ExpandDims(x, 0), 0) },
		"a new axis behind":      func(x *nn.Variable) *nn.Variable { return f.Mean(f.ExpandDims(x, 1), 1) },
		"time first":             func(x *nn.Variable) *nn.Variable { return f.Sum(f.Transpose(x, 1, 0, 2), 0) },
		"squeezed and stretched": func(x *nn.Variable) *nn.Variable { return f.SoftmaxAlong(f.Reshape(x, x.Dim(0), 3, 1, 2), 1) },
		"matrices of a row":      func(x *nn.Variable) *nn.Variable { return f.MatMulTrans(x, x, true, false) },
		"a row's sequence":       func(x *nn.Variable) *nn.Variable { return f.ExpandDims(f.Max(f.Reshape(x, 3, 2), 0), 0) },
		"joined and cut": func(x *nn.Variable) *nn.Variable {
			return f.SplitAxis(f.Concat([]*nn.Variable{x, f.Neg(x)}, 0), 2, 0)[1]
		},
		"rows of rows":             func(x *nn.Variable) *nn.Variable { return f.Reshape(linearOf(2, 3)(f.Reshape(x, -1, 2)), x.Dim(0), -1) },
		"channels last and summed": func(x *nn.Variable) *nn.Variable { return f.Sum(f.Transpose(x, 0, 2, 1), -1) },
		"constant rows":            func(x *nn.Variable) *nn.Variable { return f.Mul(x, f.Sum(nn.From(x.Tape(), []float32{1, 2}, 1, 2), 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := compile.Network(forward, 3, 2)
			if err != nil {
				t.Fatal(err)
			}
			x := rows(m, 1)
			want := forward(nn.From(nn.NewTape(nn.Evaluate), x, 1, 3, 2))
			near(t, name, run(t, m.NewWorker(1), x, 1), want.Floats())
		})
	}
}

// TestWords: rows hold ids as floats, and one that isn't an id is an error.
func TestWords(t *testing.T) {
	embed, lstm := links.EmbedID(7, 5, links.IgnoreLabel(-1)), links.LSTM(4)
	net := links.Sequential(embed, lstm, links.Linear(3))
	forward := func(x *nn.Variable) *nn.Variable {
		var y *nn.Variable
		for _, word := range f.Separate(x, 1) {
			y = net.Forward(word)
		}
		return y
	}
	m, err := compile.Network(forward, 3)
	if err != nil {
		t.Fatal(err)
	}
	w, x := m.NewWorker(2), []float32{6, 0, 2, 3, -1, 1}
	near(t, "scores", run(t, w, x, 2), forward(nn.From(nil, []int32{6, 0, 2, 3, -1, 1}, 2, 3)).Floats())
	if strings.Contains(m.String(), "row by row") {
		t.Errorf("words are looked up row by row:\n%s", m)
	}
	for _, bad := range []float32{7, 0.5, -2, float32(math.NaN())} {
		x[4] = bad
		if _, err := w.Run(x, 2); !errors.Is(err, nn.ErrValue) {
			t.Errorf("id %v: %v", bad, err)
		}
	}
	if _, err := compile.Network(func(x *nn.Variable) *nn.Variable { return f.Mean(embed.Forward(x), 0) }, 3); !errors.Is(err, compile.ErrForward) {
		t.Errorf("the mean of all rows: %v", err)
	}
}

// TestRecurrentLinksBeginAnew: a compiled row is a sequence of its own, whatever
// the network has read before, and the network goes on as if nothing had been.
func TestRecurrentLinksBeginAnew(t *testing.T) {
	lstm, gru := links.LSTM(3), links.GRU(2)
	net := links.Sequential(lstm, gru)
	two := func(x *nn.Variable) *nn.Variable { // steps
		var y *nn.Variable
		for _, step := range f.SplitAxis(x, 2, 1) {
			y = net.Forward(step)
		}
		return y
	}
	x := []float32{0.5, -1, 2, 0.25, 1, 1, -2, 3}
	fresh := two(nn.From(nil, x, 2, 4))
	want := append([]float32{}, fresh.Floats()...)
	want2 := append([]float32{}, net.Forward(nn.From(nil, x[:4], 2, 2)).Floats()...)
	lstm.ResetState()
	gru.ResetState()
	two(nn.From(nil, x, 2, 4))

	m, err := compile.Network(two, 4)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "compiled", run(t, m.NewWorker(2), x, 2), want)
	near(t, "the network's own sequences", net.Forward(nn.From(nil, x[:4], 2, 2)).Floats(), want2)
}

func linearOf(in, out int) func(x *nn.Variable) *nn.Variable {
	return links.Linear(out, links.InSize(in)).Forward
}

// TestTrainingNetworkIsRefused: a training-mode trace would mix the rows.
func TestTrainingNetworkIsRefused(t *testing.T) {
	net := links.Sequential(links.BatchNormalization(3))
	_, err := compile.Recorded(func(rows int) (*graph.Trace, error) {
		x, err := nn.Zeros(rows, 3)
		if err != nil {
			return nil, err
		}
		return graph.Record(nn.Train, func(x []*nn.Variable) []*nn.Variable { return []*nn.Variable{net.Forward(x[0])} }, x)
	})
	if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), "nn.Evaluate") {
		t.Errorf("error %v, want one that says to record in mode Evaluate", err)
	}
}
