package ml_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// sgdStep makes one step of gradient descent on the squared outputs.
func sgdStep(net ml.Network, rows []int) error {
	x := make([]float32, 0, 3*len(rows))
	for _, v := range rows {
		row := make([]float32, 3)
		if err := encode(v, row); err != nil {
			return err
		}
		x = append(x, row...)
	}
	in, err := nn.NewArray(x, len(rows), 3)
	if err != nil {
		return err
	}
	tape := nn.NewTape(nn.Train)
	defer tape.Release()
	optimizer := optimizers.SGD(net.(links.Link))
	links.ClearGrads(optimizer.Target())
	y := net.Forward(tape.Input(in))
	if err := functions.Sum(functions.Square(y)).Backward(); err != nil {
		return err
	}
	return optimizer.Update()
}

// Each batch is learned from what the one before left, and prediction uses it.
func TestTrainOn(t *testing.T) {
	file := weights(t)
	batches := [][]int{{1, 2, 3}, {}, {4, 5}, {6}}
	got, err := enginetest.Run(t, batches, len(batches), func(in *engine.DStream[int]) *engine.DStream[string] {
		m := ml.Model(in.Context(), "small", small, file, 3)
		ml.TrainOn(in, m, sgdStep)
		return ml.Predict(in, m, encode, func(_ int, out ml.Row) (string, error) { return fmt.Sprintf("%x %s", out.Output, out.Digest), nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, batch := range batches { // the same without a stream
		want, err := enginetest.Run(t, [][]int{batch}, 1, func(in *engine.DStream[int]) *engine.DStream[string] {
			return ml.Predict(in, ml.Model(in.Context(), "small", small, file, 3), encode,
				func(_ int, out ml.Row) (string, error) { return fmt.Sprintf("%x %s", out.Output, out.Digest), nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got[i]) != fmt.Sprint(want[0]) {
			t.Errorf("batch %d:\n got %v\nwant %v", i+1, got[i], want[0])
		}
		if len(batch) == 0 {
			continue
		}
		net := small()
		if err := serializers.LoadNPZBytes(file, net); err != nil {
			t.Fatal(err)
		}
		if err := sgdStep(net, batch); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := serializers.WriteNPZ(&b, net); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(b.Bytes(), file) {
			t.Fatal("a step changed nothing")
		}
		file = b.Bytes()
	}
}
