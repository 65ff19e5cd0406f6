// Mnist-stream recognises handwritten digits from several simulated cameras: the
// images go through Kafka, the engine classifies them in micro-batches with a
// network, and one result for each image goes to another topic.
//
//	go run ./examples/mnist-stream
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/mnistnet"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	images     int
	rate       float64
	cameras    int
	partitions int
	model      string
	onBad      string
	json       bool

	imagesTopic, digitsTopic, badTopic string
}

func main() {
	app := engine.NewApp("mnist-stream")
	app.Example("mnist-stream --images 10000 --rate 5000 --model mlp")
	var opt options
	f := app.Flags()
	f.IntVar(&opt.images, "images", 30_000, "images that the cameras take in all; 0 until stopped")
	f.Float64Var(&opt.rate, "rate", 1000, "images per second of all cameras together")
	f.IntVar(&opt.cameras, "cameras", 4, "number of cameras")
	f.IntVar(&opt.partitions, "partitions", 4, "partitions of the topics, where they don't exist yet")
	f.StringVar(&opt.model, "model", "cnn", "network: cnn or mlp")
	f.StringVar(&opt.onBad, "on-bad-image", "fail", "what becomes of a record that is no image: fail, skip or dead-letter (to --bad-topic)")
	f.StringVar(&opt.imagesTopic, "images-topic", "images", "topic that the cameras write")
	f.StringVar(&opt.digitsTopic, "digits-topic", "digits", "topic that the results are written to")
	f.StringVar(&opt.badTopic, "bad-topic", "images-bad", "topic of records that are no images")
	f.BoolVar(&opt.json, "json", false, "end with one JSON object on standard output")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error { return build(ssc, opt) })
}

// build declares the stream. It runs once for the driver and once for the
// executors; what has an effect stands in Value, OnDriver and the like.
func build(ssc *engine.StreamingContext, opt options) error {
	if err := opt.check(); err != nil {
		return err
	}
	if ssc.UntilEnd() {
		return fmt.Errorf("%w: --until-end ends when what was there at the start is read, and the cameras take their images later", engine.ErrUsage)
	}
	brokers := kafka.Brokers(ssc)
	// Where the images of this job begin: asked once, when it is submitted.
	base := engine.Value(ssc, "base", func(ctx context.Context) (map[string]map[int32]int64, error) {
		return prepareTopics(ctx, brokers, opt)
	})
	images := kafka.Direct(ssc, kafka.Subscribe(opt.imagesTopic), decodeImage,
		kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{opt.imagesTopic: base[opt.imagesTopic]})), kafka.OnBadRecord(opt.badPolicy()))
	digits := ml.Predict(images, network(ssc, opt.model), pixels, toDigit).Cache()
	kafka.Sink(digits, opt.digitsTopic, kafka.JSON[Digit])

	s := newShow(ssc, opt, brokers, base)
	engine.ForEachBatch(engine.CountByValue(engine.Map(digits, outcomeOf), rdd.Partitions(1)), func(_ engine.Batch, counts []rdd.Pair[outcome, int64]) error {
		s.count(counts) // on the driver
		return nil
	})
	s.declare(ssc)
	return nil
}

// maxRate bounds --rate, in images/s.
const maxRate = 1e9

// check reports what is wrong with the flags.
func (o options) check() error {
	switch {
	case o.images < 0:
		return fmt.Errorf("%w: --images %d is below 0", engine.ErrUsage, o.images)
	case !(o.rate > 0 && o.rate <= maxRate):
		return fmt.Errorf("%w: --rate %g: it takes a number above 0, up to %g", engine.ErrUsage, o.rate, maxRate)
	case o.cameras < 1:
		return fmt.Errorf("%w: --cameras %d is below 1", engine.ErrUsage, o.cameras)
	case o.partitions < 1:
		return fmt.Errorf("%w: --partitions %d is below 1", engine.ErrUsage, o.partitions)
	}
	if !slices.Contains(mnistnet.Names(), o.model) {
		return fmt.Errorf("%w: --model %q; there are %s", engine.ErrUsage, o.model, strings.Join(mnistnet.Names(), " and "))
	}
	switch o.onBad {
	case "fail", "skip", "dead-letter":
		return nil
	}
	return fmt.Errorf("%w: --on-bad-image %q; there are fail, skip and dead-letter", engine.ErrUsage, o.onBad)
}

// badPolicy returns what the flag asks for.
func (o options) badPolicy() kafka.BadRecords {
	switch o.onBad {
	case "skip":
		return kafka.Skip()
	case "dead-letter":
		return kafka.DeadLetter(o.badTopic)
	}
	return kafka.Fail()
}

// prepareTopics makes the topics and returns where they end: at what follows,
// this job's images and digits begin.
func prepareTopics(ctx context.Context, brokers []string, opt options) (map[string]map[int32]int64, error) {
	topics := []string{opt.imagesTopic, opt.digitsTopic}
	if opt.onBad == "dead-letter" {
		topics = append(topics, opt.badTopic)
	}
	for _, t := range topics {
		if err := kafka.EnsureTopic(ctx, brokers, t, opt.partitions); err != nil {
			return nil, err
		}
	}
	return kafka.EndOffsets(ctx, brokers, opt.imagesTopic, opt.digitsTopic)
}
