// Digits-write writes MNIST's images to Kafka, for the example to have something to read:
// training images to topic labelled, as if they had been written in the course of
// yesterday, and test images to topic labelled-today.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/train-then-stream/digits"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

func main() { cli.Main("digits-write", run) }

func run(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("digits-write", flag.ContinueOnError)
	brokers := f.String("brokers", "127.0.0.1:9092", "`addresses` of the brokers")
	labelled := f.Int("labelled", 20_000, "images of yesterday")
	images := f.Int("images", 5_000, "images for the stream")
	if err := cli.Parse(f, "digits-write --brokers 127.0.0.1:9092", args, stdout); err != nil {
		return err
	}
	addresses, err := cli.Brokers(*brokers)
	if err != nil {
		return err
	}
	known, err := mnist.Train()
	if err != nil {
		return err
	}
	shown, err := mnist.Test()
	if err != nil {
		return err
	}
	if *labelled < 1 || *labelled > known.Len() || *images < 1 || *images > shown.Len() {
		return fmt.Errorf("%w: --labelled goes from 1 to %d, --images from 1 to %d", cli.ErrUsage, known.Len(), shown.Len())
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := write(ctx, addresses, "labelled", known, *labelled, today.AddDate(0, 0, -1), 24*time.Hour); err != nil {
		return err
	}
	if err := write(ctx, addresses, digits.Topic, shown, *images, time.Now(), 0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "wrote %d images of yesterday to topic labelled, %d to topic %s\n", *labelled, *images, digits.Topic)
	return err
}

// write writes the first n images of a set to a topic of two partitions, with times that
// are spread over a span.
func write(ctx context.Context, brokers []string, topic string, set mnist.Set, n int, from time.Time, span time.Duration) error {
	if err := kafka.EnsureTopic(ctx, brokers, topic, 2); err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", strings.Join(brokers, ","), err)
	}
	defer cl.Close()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{
			Partition: int32(i % 2), Timestamp: from.Add(span * time.Duration(i) / time.Duration(n)),
			Value: digits.Encode(set.Labels[i], set.Image(i)),
		}
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("writing topic %s: %w", topic, err)
	}
	return nil
}
