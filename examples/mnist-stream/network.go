package main

import (
	_ "embed"
	"math"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/mnistnet"
	"github.com/hibana-engine/hibana/ml"
)

// Trained weights: see ../train-mnist for the command that made them.
//
//go:embed weights/mnist-cnn.npz
var cnnWeights []byte

//go:embed weights/mnist-mlp.npz
var mlpWeights []byte

// best returns the index of the largest logit and its probability by softmax.
func best(logits []float32) (digit int, p float32) {
	for i, v := range logits {
		if v > logits[digit] {
			digit = i
		}
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v - logits[digit]))
	}
	return digit, float32(1 / sum)
}

// network declares the model that the flag --model names.
func network(ssc *engine.StreamingContext, name string) *ml.ModelRef {
	weights := cnnWeights
	if name == "mlp" {
		weights = mlpWeights
	}
	return ml.Model(ssc, "mnist-"+name, func() ml.Network {
		if name == "mlp" {
			return mnistnet.MLP(0)
		}
		return mnistnet.CNN(0)
	}, weights, 1, 28, 28)
}
