package mnistnet_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/examples/internal/mnistnet"
	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// TestShippedWeights holds the weights that mnist-stream embeds against all
// 10,000 test images.
func TestShippedWeights(t *testing.T) {
	tests := []struct {
		name  string
		least float64 // accuracy
	}{
		{"cnn", 0.992},
		{"mlp", 0.98},
	}
	_, images := datasets.MNIST()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			net, err := mnistnet.New(tt.name, 0)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("..", "..", "mnist-stream", "weights", "mnist-"+tt.name+".npz")
			if err := serializers.LoadNPZ(path, net); err != nil {
				t.Fatal(err)
			}
			means, err := extensions.Evaluate(images).Of(t.Context(), links.Classifier(net))
			if err != nil {
				t.Fatal(err)
			}
			if means["accuracy"] < tt.least {
				t.Errorf("%.2f %% of the test images right, want %.2f %%", 100*means["accuracy"], 100*tt.least)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	want := map[string]int{"cnn": 582_026, "mlp": 1_796_010}
	for _, name := range mnistnet.Names() {
		net, err := mnistnet.New(name, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		y := net.Forward(nn.From(nn.NewTape(nn.Train), make([]float32, 3*784), 3, 1, 28, 28))
		if err := y.Err(); err != nil || !slices.Equal(y.Shape(), []int{3, 10}) {
			t.Errorf("%s gives %v, %v", name, y.Shape(), err)
		}
		if n := links.CountParams(net); n != want[name] {
			t.Errorf("%s has %d parameters, want %d", name, n, want[name])
		}
	}
	if _, err := mnistnet.New("rnn", 0); err == nil {
		t.Error("an unknown network was made")
	}
}
