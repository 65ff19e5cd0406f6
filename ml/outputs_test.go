package ml_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/rdd"
)

// Several outputs of an ONNX file are there by their names, each with the shape and the
// values that it has alone; a name that isn't given is an error that lists those that are.
func TestNamedOutputs(t *testing.T) {
	file, err := os.ReadFile("onnx/testdata/nstep_gru_opset14.onnx") // z (T, N, 4), hy (2, N, 12)
	if err != nil {
		t.Fatal(err)
	}
	tokens := func(v int, row []float32) error { row[0], row[1], row[2] = float32(v), 1, 2; return nil }
	run := func(file []byte, outputs []string, show func(out ml.Row) (string, error)) ([]string, error) {
		opts := []onnx.Option{onnx.Batch(1), onnx.Dim("T", 3), onnx.Fix("lengths", 3)}
		if outputs != nil {
			opts = append(opts, onnx.Output(outputs...))
		}
		got, err := enginetest.Run(t, [][]int{{1, 2, 0}}, 1, func(in *engine.DStream[int]) *engine.DStream[string] {
			return ml.Predict(in, ml.ONNX(in.Context(), "gru", file, opts...), tokens, func(_ int, out ml.Row) (string, error) { return show(out) })
		})
		if err != nil {
			return nil, err
		}
		return got[0], nil
	}
	named := func(name string) func(ml.Row) (string, error) {
		return func(out ml.Row) (string, error) {
			v, err := out.Named(name)
			shape, wrong := out.Shape(name)
			return fmt.Sprintf("%v %x", shape, v), errors.Join(err, wrong)
		}
	}
	inOrder := func(names ...string) func(ml.Row) (string, error) {
		return func(out ml.Row) (string, error) {
			var want [][]float32
			for _, name := range names {
				v, err := out.Named(name)
				if err != nil {
					return "", err
				}
				want = append(want, v)
			}
			return fmt.Sprint(slices.EqualFunc(out.Outputs(), want, slices.Equal)), nil
		}
	}
	shapes := map[string]string{"z": "[3 4] ", "hy": "[2 12] "}
	for _, name := range []string{"z", "hy"} {
		alone, err := run(file, []string{name}, named(name))
		if err != nil || len(alone) != 3 || !strings.HasPrefix(alone[0], shapes[name]) || alone[0] == alone[1] {
			t.Fatalf("%s alone: %v, %v; want the shape %s and rows that differ", name, alone, err, shapes[name])
		}
		both, err := run(file, []string{"hy", "z"}, named(name))
		if err != nil || !slices.Equal(both, alone) {
			t.Errorf("%s of two: %v, %v; alone %v", name, both, err, alone)
		}
	}
	for _, names := range [][]string{{"hy", "z"}, {"z"}} {
		if got, err := run(file, names, inOrder(names...)); err != nil || got[0] != "true" {
			t.Errorf("Outputs aren't %q: %v, %v", names, got, err)
		}
	}
	if first, err := run(file, nil, named("z")); err != nil || !strings.HasPrefix(first[0], shapes["z"]) {
		t.Errorf("the first output by default: %v, %v", first, err)
	}
	if _, err := run(file, []string{"hy", "z"}, named("boxes")); !errors.Is(err, ml.ErrModel) || !strings.Contains(err.Error(), `gives no output "boxes", it gives ["hy" "z"]`) {
		t.Errorf("an output that there isn't: %v", err)
	}
	var got string
	err = enginetest.Batch(t, func(sc *rdd.Context) error {
		m := ml.LoadONNX(sc, "gru", file, onnx.Batch(1), onnx.Dim("T", 3), onnx.Fix("lengths", 3), onnx.Output("hy", "z"))
		rows, err := rdd.Collect(ml.PredictRDD(rdd.Parallelize(sc, []int{1}), m, tokens, func(_ int, out ml.Row) (string, error) { return named("z")(out) }))
		sc.OnDriver(func() error { got = strings.Join(rows, ""); return nil })
		return err
	})
	if err != nil || !strings.HasPrefix(got, shapes["z"]) {
		t.Errorf("in a batch program: %s, %v", got, err)
	}
	_, err = enginetest.Run(t, [][]int{{1}}, 1, func(in *engine.DStream[int]) *engine.DStream[string] {
		m := ml.Model(in.Context(), "small", small, weights(t), 3)
		return ml.Predict(in, m, encode, func(_ int, out ml.Row) (string, error) {
			if all := out.Outputs(); len(all) != 1 || !slices.Equal(all[0], out.Output) {
				return "", fmt.Errorf("outputs %v, want %v alone", all, out.Output)
			}
			return named("y")(out)
		})
	})
	if err == nil || !strings.Contains(err.Error(), "model small has no named outputs") {
		t.Errorf("a network without names: %v", err)
	}
}
