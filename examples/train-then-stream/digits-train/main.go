// Digits-train teaches a network the images that were written to a topic on one day, tries it on
// a tenth of them, and publishes it.
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

// options are the program's flags.
type options struct {
	topic      string
	day        string
	rounds     int
	partitions int
	least      float64
}

func main() {
	app := engine.NewApp("digits-train")
	app.Example("digits-train --brokers 127.0.0.1:9092 --conf models.store=/tmp/models")
	var o options
	app.Flags().StringVar(&o.topic, "topic", "labelled", "`topic` of images with their digits")
	app.Flags().StringVar(&o.day, "day", "", "`day` whose images are learned, such as 2026-11-28, UTC (default: yesterday)")
	app.Flags().IntVar(&o.rounds, "rounds", 5, "times that the images are learned")
	app.Flags().IntVar(&o.partitions, "partitions", 4, "parts of the images that are learned beside each other")
	app.Flags().Float64Var(&o.least, "least", 0.8, "share of the images that must be read right, else the network isn't published")
	app.Batch(func(sc *rdd.Context) error { return train(sc, o) })
}

// train is the program.
func train(sc *rdd.Context, o options) error {
	if err := o.check(); err != nil {
		return err
	}
	kafka.DeclareSettings(engine.EnvironmentOf(sc)) // for --conf help, which stops at the first value
	from, err := rdd.TryValue(sc, func() (int64, error) { return startOf(o.day, time.Now()) })
	if err != nil {
		return err
	}
	day := time.Unix(from, 0).UTC()
	images := kafka.Range(sc, o.topic, kafka.AtTime(day), kafka.AtTime(day.AddDate(0, 0, 1)), digits.Decode, kafka.MinPartitions(o.partitions)).Cache()
	weights, err := digits.Untrained()
	if err != nil {
		return err
	}
	weights, err = ml.TrainRDD(images.Filter(func(i digits.Image) bool { return !forTrial(i) }), digits.Network, weights, o.rounds, digits.Teach)
	if err != nil {
		return err
	}
	model := ml.LoadModel(sc, digits.Model, digits.Network, weights, digits.Size)
	results, err := rdd.CountByValue(ml.PredictRDD(images.Filter(forTrial), model, digits.Row, digits.Judge))
	if err != nil {
		return err
	}
	right, tried := tally(results)
	if tried == 0 {
		return fmt.Errorf("topic %s holds too few images of %s", o.topic, day.Format(time.DateOnly))
	}
	share := float64(right) / float64(tried)
	if share < o.least {
		return fmt.Errorf("the network reads %.1f %% of the images right, %.1f %% are asked for: it isn't published", 100*share, 100*o.least)
	}
	if err := model.Publish(); err != nil {
		return err
	}
	sc.OnDriver(func() error {
		_, err := fmt.Printf("published version %.12s, which reads %d of %d images right\n", model.Digest(), right, tried)
		return err
	})
	return nil
}

// check reports what is wrong with the flags.
func (o options) check() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("%w: --rounds %d is below 1", engine.ErrUsage, o.rounds)
	case o.partitions < 1:
		return fmt.Errorf("%w: --partitions %d is below 1", engine.ErrUsage, o.partitions)
	case !(o.least >= 0 && o.least <= 1):
		return fmt.Errorf("%w: --least %g is not from 0 to 1", engine.ErrUsage, o.least)
	}
	return nil
}

// startOf returns when a day begins, in seconds since 1970; "" is the one before now's.
func startOf(day string, now time.Time) (int64, error) {
	if day == "" {
		return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1).Unix(), nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return 0, fmt.Errorf("%w: --day %q is no day such as 2026-11-28", engine.ErrUsage, day)
	}
	return t.Unix(), nil
}

// forTrial reports whether the network is tried with an image instead of learning it.
func forTrial(img digits.Image) bool { return img.Offset%10 == 9 }

// tally returns how many images were read right, of how many.
func tally(results []rdd.Pair[bool, int64]) (right, all int64) {
	for _, r := range results {
		all += r.Value
		if r.Key {
			right += r.Value
		}
	}
	return right, all
}
