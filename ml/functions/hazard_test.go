package functions_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// The tests in this file are about faults of Gorgonia 0.9.18's own operations:
// each does what goes wrong there and checks that ours give the right answer,
// called directly and in a TapeMachine.

func array[T nn.Element](t *testing.T, data []T, shape ...int) *tensor.Dense {
	t.Helper()
	a, err := nn.NewArray(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func normals(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// random makes an array of normally distributed values.
func random(t *testing.T, r *rand.Rand, shape ...int) *tensor.Dense {
	t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	return array(t, normals(r, n), shape...)
}

// seeded prints its seed, so that a failure can be repeated.
func seeded(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// everywhere runs forward directly and in a TapeMachine, checks that both give
// the same and returns the outputs' elements.
func everywhere(t *testing.T, forward func(x vars) vars, inputs ...*tensor.Dense) [][]float32 {
	t.Helper()
	tape := nn.NewTape(nn.Train)
	x := make(vars, len(inputs))
	for i, a := range inputs {
		x[i] = tape.Input(a)
	}
	direct := forward(x)
	out, _ := machine(t, forward, false, inputs...)
	result := make([][]float32, len(direct))
	for i, v := range direct {
		if v.Err() != nil {
			t.Fatal(v.Err())
		}
		result[i] = v.Floats()
		compare(t, fmt.Sprintf("output %d in the machine", i), out[i], v.Data(), 0, 0)
	}
	return result
}

func TestSoftmaxRowsAreIndependent(t *testing.T) {
	for _, v := range []float32{1, 50, 90, 105, 200, 1e30} {
		got := everywhere(t, func(x vars) vars { return list(f.Softmax(x[0]), f.LogSoftmax(x[0])) },
			array(t, []float32{v, 0, 0, 0, 0, 0}, 2, 3))
		for i, want := range []float32{1. / 3, float32(-math.Log(3))} {
			for _, y := range got[i][3:] {
				if math.Abs(float64(y-want)) > 1e-6 {
					t.Errorf("first row starts with %v: second row of output %d is %v, want %v", v, i, got[i][3:], want)
				}
			}
		}
	}
}

func TestSoftmaxIsStable(t *testing.T) {
	got := everywhere(t, func(x vars) vars { return list(f.LogSoftmax(x[0])) },
		array(t, []float32{1000, 0, -1000, -1000, -1000, -1000}, 2, 3))[0]
	third := float32(-math.Log(3))
	for i, want := range []float32{0, -1000, -2000, third, third, third} {
		if math.Abs(float64(got[i]-want)) > 1e-3 {
			t.Errorf("element %d is %v, want %v", i, got[i], want)
		}
	}
	got = everywhere(t, func(x vars) vars { return list(f.Softmax(x[0])) },
		array(t, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3))[0]
	for i, y := range got {
		want := 1 / (1 + math.Exp(3)) // over axis 1, between elements 3 apart
		if i/3%2 == 1 {
			want = 1 - want
		}
		if math.Abs(float64(y)-want) > 1e-6 {
			t.Errorf("softmax over the middle axis: element %d is %v, want %v", i, y, want)
		}
	}
}

func TestReLUOfInfinity(t *testing.T) {
	inf := float32(math.Inf(-1))
	if got := everywhere(t, each(f.ReLU), array(t, []float32{inf, -1, 2}, 1, 3))[0]; !slices.Equal(got, []float32{0, 0, 2}) {
		t.Errorf("ReLU(-Inf, -1, 2) = %v", got)
	}
}

func TestLikeCallsAreNotMerged(t *testing.T) {
	r := seeded(t, 1)
	x, w := random(t, r, 1, 1, 8, 8), random(t, r, 1, 1, 3, 3)
	forward := func(v vars) vars {
		rows := f.Reshape(v[0], 8, 8)
		return list(
			f.Softmax(rows), f.LogSoftmax(rows),
			f.Convolution2D(v[0], v[1], nil), f.Convolution2D(v[0], v[1], nil, f.Dilation(2)),
			f.MaxPooling2D(v[0], 2), f.MaxPooling2D(v[0], 2, f.Padding(1)),
			f.Affine(rows, 1, 0.1), f.Affine(rows, 1, 0.2),
		)
	}
	got := everywhere(t, forward, x, w)
	for i := 0; i < len(got); i += 2 {
		if slices.Equal(got[i], got[i+1]) {
			t.Errorf("outputs %d and %d are the same", i, i+1)
		}
	}
	trace, err := graph.Record(nn.Train, func(v vars) vars {
		return list(f.Dropout(v[0], 0.2), f.Dropout(v[0], 0.9), f.Dropout(v[0], 0.9))
	}, x)
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.Build(trace, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, c := g.Outputs[0], g.Outputs[1], g.Outputs[2]; a == b || b == c || a.Hashcode() == b.Hashcode() || b.Hashcode() == c.Hashcode() {
		t.Error("dropout calls became one node")
	}
}

func TestBatchOfOneBroadcastsAndJoins(t *testing.T) {
	got := everywhere(t, func(x vars) vars {
		return list(f.Add(x[0], x[1]), f.Concat(list(x[0], x[1]), 1), f.Concat(list(x[0], x[1]), 0))
	}, array(t, []float32{1, 2, 3}, 1, 3), array(t, []float32{10, 20, 30}, 1, 3))
	for i, want := range [][]float32{{11, 22, 33}, {1, 2, 3, 10, 20, 30}, {1, 2, 3, 10, 20, 30}} {
		if !slices.Equal(got[i], want) {
			t.Errorf("output %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestMaxPoolingIgnoresPadding(t *testing.T) {
	x := make([]float32, 16)
	for i := range x {
		x[i] = float32(i) - 100
	}
	for _, pad := range []int{0, 1} {
		got := everywhere(t, each(func(v *nn.Variable) *nn.Variable {
			return f.MaxPooling2D(v, 2, f.Stride(1), f.Padding(pad))
		}), array(t, x, 1, 1, 4, 4))[0]
		if slices.Max(got) != -85 || got[0] >= 0 {
			t.Errorf("padding %d: %v", pad, got)
		}
	}
}

func TestAveragePoolingCountsPaddingOrNot(t *testing.T) {
	ones := array(t, slices.Repeat([]float32{1}, 4), 1, 1, 2, 2)
	got := everywhere(t, each(func(x *nn.Variable) *nn.Variable {
		return f.Concat(list(
			f.AveragePooling2D(x, 2, f.Padding(1)),
			f.AveragePooling2D(x, 2, f.Padding(1), f.ExcludePad())), 1)
	}), ones)[0]
	if want := []float32{.25, .25, .25, .25, 1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("corners of ones average %v, want %v", got, want)
	}
}

// convolve is the definition of a convolution, in float64.
func convolve(x []float32, n, c, h, w int, k []float32, oc, kh, kw, pad, stride, dil int) []float32 {
	oh, ow := (h+2*pad-dil*(kh-1)-1)/stride+1, (w+2*pad-dil*(kw-1)-1)/stride+1
	out := make([]float32, n*oc*oh*ow)
	for i := range out {
		ox, oy, f, b := i%ow, i/ow%oh, i/ow/oh%oc, i/ow/oh/oc
		var sum float64
		for j := range c * kh * kw {
			kx, ky, ch := j%kw, j/kw%kh, j/kw/kh
			y, x0 := oy*stride-pad+ky*dil, ox*stride-pad+kx*dil
			if y >= 0 && y < h && x0 >= 0 && x0 < w {
				sum += float64(x[((b*c+ch)*h+y)*w+x0]) * float64(k[f*c*kh*kw+j])
			}
		}
		out[i] = float32(sum)
	}
	return out
}

func TestConvolutionWithDimensionsOfOne(t *testing.T) {
	r := seeded(t, 2)
	for range 60 {
		n, c, oc, h, w := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 5+r.IntN(5), 5+r.IntN(5)
		kh, kw, pad, stride, dil := 1+r.IntN(3), 1+r.IntN(3), r.IntN(3), 1+r.IntN(2), 1+r.IntN(2)
		x, k := random(t, r, n, c, h, w), random(t, r, oc, c, kh, kw)
		got := everywhere(t, both(func(x, k *nn.Variable) *nn.Variable {
			return f.Convolution2D(x, k, nil, f.Padding(pad), f.Stride(stride), f.Dilation(dil))
		}), x, k)[0]
		want := convolve(nn.Floats(x), n, c, h, w, nn.Floats(k), oc, kh, kw, pad, stride, dil)
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-4 {
				t.Fatalf("x %v k %v pad %d stride %d dilation %d: element %d is %v, want %v", x.Shape(), k.Shape(), pad, stride, dil, i, got[i], want[i])
			}
		}
	}
}

func TestBatchNormalizationStatistics(t *testing.T) {
	r := seeded(t, 3)
	data := normals(r, 8*2*9)
	for i := range data {
		data[i] = data[i]*3 + 5
	}
	x := array(t, data, 8, 2, 3, 3)
	forward := func(v vars) vars {
		y, _, _ := f.BatchNormalization(v[0], v[1], v[2], 1e-5)
		return list(y)
	}
	gamma, beta := array(t, []float32{1, 2}, 2), array(t, []float32{0, 7}, 2)
	got := everywhere(t, forward, x, gamma, beta)
	_, mean, variance := f.BatchNormalization(nn.NewVariable(x), nn.NewVariable(gamma), nn.NewVariable(beta), 1e-5)
	got = append(got, mean.Floats(), variance.Floats())
	for ch, beta := range []float64{0, 7} {
		var sum, sumX, squaresX float64
		for i, v := range data {
			if i/9%2 == ch {
				sum += float64(got[0][i])
				sumX += float64(v)
				squaresX += float64(v) * float64(v)
			}
		}
		mean := sumX / 72
		if math.Abs(sum/72-beta) > 1e-4 {
			t.Errorf("channel %d: normalised mean %v, want %v", ch, sum/72, beta)
		}
		if variance := squaresX/72 - mean*mean; math.Abs(float64(got[1][ch])-mean) > 1e-4 || math.Abs(float64(got[2][ch])-variance) > 1e-3 {
			t.Errorf("channel %d: mean %v variance %v, want %v %v", ch, got[1][ch], got[2][ch], mean, variance)
		}
	}
}

func TestDropoutByMode(t *testing.T) {
	ones := slices.Repeat([]float32{1}, 10000)
	zeros := func(tape *nn.Tape, ratio float32) int {
		n := 0
		for _, v := range f.Dropout(nn.From(tape, ones, 100, 100), ratio).Floats() {
			if v == 0 {
				n++
			} else if math.Abs(float64(v-1/(1-ratio))) > 1e-6 {
				t.Fatalf("element scaled to %v at ratio %v", v, ratio)
			}
		}
		return n
	}
	if n := zeros(nn.NewTape(nn.Train, nn.Seed(1)), 0.3); n < 2800 || n > 3200 {
		t.Errorf("dropout of 0.3 dropped %d of 10000", n)
	}
	x := nn.From(nn.NewTape(nn.Evaluate), ones, 100, 100)
	if y := f.Dropout(x, 0.3); !slices.Equal(y.Floats(), ones) {
		t.Error("evaluation dropped or scaled")
	}
	a := f.Dropout(nn.From(nn.NewTape(nn.Train, nn.Seed(1)), ones, 10000), 0.5).Floats()
	b := f.Dropout(nn.From(nn.NewTape(nn.Train, nn.Seed(1)), ones, 10000), 0.5).Floats()
	c := f.Dropout(nn.From(nn.NewTape(nn.Train, nn.Seed(2)), ones, 10000), 0.5).Floats()
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Error("masks are not a function of the seed")
	}
}

// TestMachinesInParallel runs machines over one network at the same time; under
// -race it shows that they share no header. Graphs are built one by one.
func TestMachinesInParallel(t *testing.T) {
	r := seeded(t, 4)
	w := nn.NewParameter("c/W", nn.HeNormal(), 3, 1, 3, 3)
	l := nn.NewParameter("l/W", nn.HeNormal(), 5, 27)
	x := random(t, r, 2, 1, 8, 8)
	forward := func(v vars) vars {
		h := f.MaxPooling2D(f.ReLU(f.Convolution2D(v[0], &w.Variable, nil)), 2)
		y := f.Linear(h, &l.Variable, nil)
		return list(y, f.Sum(f.Square(y)))
	}
	const machines = 4
	graphs := make([]*graph.Graph, machines)
	for i := range graphs {
		trace, err := graph.Record(nn.Train, forward, x)
		if err != nil {
			t.Fatal(err)
		}
		if graphs[i], err = graph.Build(trace, 0); err != nil {
			t.Fatal(err)
		}
		if err := gorgonia.Let(graphs[i].Inputs[0], array(t, slices.Clone(nn.Floats(x)), 2, 1, 8, 8)); err != nil {
			t.Fatal(err)
		}
		if _, err := gorgonia.Grad(graphs[i].Outputs[1], graphs[i].Params...); err != nil {
			t.Fatal(err)
		}
	}
	results := make([][]float32, machines)
	var wg sync.WaitGroup
	for i, g := range graphs {
		vm := gorgonia.NewTapeMachine(g.Expr)
		wg.Go(func() {
			defer vm.Close()
			for range 20 {
				if err := vm.RunAll(); err != nil {
					t.Error(err)
					return
				}
				results[i] = slices.Clone(nn.Floats(g.Outputs[0].Value().(*tensor.Dense)))
				vm.Reset()
			}
		})
	}
	wg.Wait()
	for i := range results {
		if !slices.Equal(results[i], results[0]) {
			t.Errorf("machine %d: %v, machine 0: %v", i, results[i], results[0])
		}
	}
}

func TestDiscardedGraphsAreFreed(t *testing.T) {
	r := seeded(t, 5)
	w := nn.NewParameter("l/W", nn.HeNormal(), 200, 200)
	x := random(t, r, 200, 200)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	for i := range 60 {
		if i == 10 {
			before = heap()
		}
		h := nn.NewVariable(x)
		for range 10 {
			h = f.ReLU(f.Linear(h, &w.Variable, nil))
		}
		machine(t, func(v vars) vars { return list(f.Linear(v[0], &w.Variable, nil)) }, false, x)
	}
	// One iteration computes 3.4 MB; 50 leaked ones would be 170 MB.
	if after := heap(); after > before+20<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}
