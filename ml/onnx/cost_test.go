package onnx_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/hibana-engine/hibana/ml/internal/race"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// TestCost: what is allocated to read a file and compile it is bounded by its weights: they
// are read once and packed once, and what is folded into a layer is folded in memory that
// layers share. The packed ones stay.
func TestCost(t *testing.T) {
	if race.On {
		t.Skip("the race detector allocates; make test runs this without it")
	}
	f := rowFile(256, 4, 4)
	const layers = 8
	for i := range layers {
		in := "x"
		if i > 0 {
			in = fmt.Sprintf("r%d", i-1)
		}
		w := make([]float32, 256*256*9)
		for k := range w {
			w[k] = float32(k%17-8) / 1024
		}
		name := fmt.Sprintf("w%d", i)
		f.float(name, w, 256, 256, 3, 3).node("Conv", in+" "+name, fmt.Sprintf("c%d", i), "pads", []int{1, 1, 1, 1}).
			node("BatchNormalization", fmt.Sprintf("c%d one zero zero one", i), fmt.Sprintf("n%d", i)).
			node("Relu", fmt.Sprintf("n%d", i), fmt.Sprintf("r%d", i))
	}
	data := f.float("one", ones(256), 256).float("zero", make([]float32, 256), 256).bytes(fmt.Sprintf("r%d", layers-1))
	var before, after, kept runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, err := onnx.Compile(data)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&kept)
	size := float64(len(data))
	took, stays := float64(after.TotalAlloc-before.TotalAlloc)/size, float64(kept.HeapAlloc-before.HeapAlloc)/size
	if took > 2.5 || stays > 1.1 {
		t.Errorf("a file of %.1f MB: %.2f times as much is allocated and %.2f times kept, want at most 2.5 and 1.1", size/1e6, took, stays)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(data)
}

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}
