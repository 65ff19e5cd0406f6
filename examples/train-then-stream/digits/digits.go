// Package digits is what the programs of this example agree on: how an image lies in
// Kafka, and the network that reads digits.
package digits

import (
	"fmt"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
)

// Model is the name under which the network is published and followed.
const Model = "digits"

// Topic is the topic of the images that the network reads, by default. No other example has it.
const Topic = "labelled-today"

// Size is the grey values of an image, 28 rows of 28.
const Size = 28 * 28

// Image is an image with the digit that it shows.
type Image struct {
	Label  byte   `msgpack:"l"`
	Pixels []byte `msgpack:"p"`
	Offset int64  `msgpack:"o"`
}

// Encode returns an image as it lies in Kafka: the digit, then the grey values.
func Encode(label byte, pixels []byte) []byte { return append([]byte{label}, pixels...) }

// Decode reads what Encode returned.
func Decode(r *kafka.Record) (Image, error) {
	if len(r.Value) != 1+Size || r.Value[0] > 9 {
		return Image{}, fmt.Errorf("an image has a digit from 0 to 9 and %d grey values, this record has %d bytes", Size, len(r.Value))
	}
	return Image{r.Value[0], r.Value[1:], r.Offset}, nil
}

// Network makes the network, untrained: 64 units with ReLU, and a score for each digit.
func Network() ml.Network {
	net := links.Sequential(
		links.Linear(64, links.InSize(Size), links.InitW(nn.HeNormal())), functions.ReLU,
		links.Linear(10, links.InSize(64)),
	)
	links.Seed(net, 1)
	return net
}

// Row fills a row of the network's input.
func Row(img Image, row []float32) error {
	for i, p := range img.Pixels {
		row[i] = float32(p) / 255
	}
	return nil
}

// Judge says whether the network has read an image right.
func Judge(img Image, out ml.Row) (right bool, err error) {
	best := 0
	for digit, score := range out.Output {
		if score > out.Output[best] {
			best = digit
		}
	}
	return best == int(img.Label), nil
}

// Parameters of the training.
const (
	batchSize    = 20
	learningRate = 0.1 // in the first round
)

// Teach teaches a network images, batch by batch, as a step of ml.TrainRDD.
func Teach(net ml.Network, round int, images []Image) error {
	optimizer := optimizers.MomentumSGD(net.(links.Link))
	optimizer.LR = learningRate / (1 + float64(round)/4)
	for len(images) > 0 {
		n := min(batchSize, len(images))
		if err := step(net, optimizer, images[:n]); err != nil {
			return err
		}
		images = images[n:]
	}
	return nil
}

// step changes the weights against the gradient of a batch's loss.
func step(net ml.Network, optimizer *optimizers.MomentumSGDOptimizer, images []Image) error {
	x, labels := make([]float32, len(images)*Size), make([]int32, len(images))
	for i, img := range images {
		if err := Row(img, x[i*Size:(i+1)*Size]); err != nil {
			return err
		}
		labels[i] = int32(img.Label)
	}
	tape := nn.NewTape(nn.Train)
	defer tape.Release()
	links.ClearGrads(optimizer.Target())
	scores := net.Forward(nn.From(tape, x, len(images), Size))
	if err := functions.SoftmaxCrossEntropy(scores, nn.From(tape, labels, len(images))).Backward(); err != nil {
		return err
	}
	return optimizer.Update()
}
