// Digits-stream reads the digits in images of a topic with the network that digits-train has
// published last, and says which version has read how many right.
package main

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/train-then-stream/digits"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/rdd"
)

func main() {
	app := engine.NewApp("digits-stream")
	app.Example("digits-stream --brokers 127.0.0.1:9092 --conf models.store=/tmp/models")
	topic := app.Flags().String("topic", digits.Topic, "`topic` of images with their digits")
	every := app.Flags().Duration("follow", time.Second, "`time` between two looks for a network that was published")
	app.Stream(time.Second, func(ssc *engine.StreamingContext) error { return declare(ssc, *topic, *every) })
}

// verdict is a version, and whether it has read an image right.
type verdict struct {
	Version string `msgpack:"v"`
	Right   bool   `msgpack:"r"`
}

// declare declares the stream.
func declare(ssc *engine.StreamingContext, topic string, every time.Duration) error {
	untrained, err := digits.Untrained() // until there is a better one
	if err != nil {
		return err
	}
	model := ml.Model(ssc, digits.Model, digits.Network, untrained, digits.Size)
	model.Follow(every)
	images := kafka.Direct(ssc, kafka.Subscribe(topic), digits.Decode)
	verdicts := ml.Predict(images, model, digits.Row, func(img digits.Image, out ml.Row) (verdict, error) {
		right, err := digits.Judge(img, out)
		return verdict{out.Digest, right}, err
	})
	engine.ForEachBatch(engine.CountByValue(verdicts), func(b engine.Batch, counts []rdd.Pair[verdict, int64]) error {
		return show(b, counts)
	})
	return nil
}

// show prints what a batch's version has read right.
func show(b engine.Batch, counts []rdd.Pair[verdict, int64]) error {
	var right, all int64
	for _, c := range counts {
		all += c.Value
		if c.Key.Right {
			right += c.Value
		}
	}
	if all == 0 {
		return nil
	}
	_, err := fmt.Printf("batch %d: version %.12s reads %d of %d images right\n", b.Seq, b.Model(digits.Model), right, all)
	return err
}
