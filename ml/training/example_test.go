package training_test

import (
	"context"
	"fmt"
	"os"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// A perceptron learns digits from the first 2,000 images of MNIST.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	net := links.Sequential(
		links.Linear(50), functions.ReLU,
		links.Linear(50), functions.ReLU,
		links.Linear(10))
	model := links.Classifier(net)
	optimizer := optimizers.Adam(model)
	train, test := datasets.MNIST()
	train, _ = datasets.Split(train, 2000)
	test, _ = datasets.Split(test, 500)

	trainer := training.New(optimizer, iterators.Serial(train, 50), training.Epochs(3), training.Out(dir))
	log := extensions.LogReport()
	trainer.Extend(extensions.Evaluate(test), log, extensions.ProgressBar(), extensions.PlotReport("loss.png"))
	if err := trainer.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	last := log.Records()[2]
	fmt.Println(last["epoch"], last["iteration"], last["validation/main/accuracy"] > 0.75)
	// Output: 3 120 true
}
