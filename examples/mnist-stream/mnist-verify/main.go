// Mnist-verify compares what mnist-stream wrote with what it read, by topic, partition
// and offset: which images have no result, and which have more than one.
//
//	go run ./examples/mnist-stream/mnist-verify --brokers 127.0.0.1:9092
//
// It reads both topics from their start to where they end and prints one JSON
// object. The exit code is 1 if an image is lost, or if an image has results of
// two batches: what is repeated after a failure is a batch, with the same ranges.
// It is 2 if that can't be told, or if the command line is wrong.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/examples/internal/cli"
)

// report is what the comparison brings.
type report struct {
	Images        int `json:"images"`
	Lost          int `json:"lost"`           // images without a result
	Duplicates    int `json:"duplicates"`     // results beside an image's first
	DoubleBatches int `json:"double_batches"` // batches that these are of
	Foreign       int `json:"foreign"`        // duplicates of another batch than the first
}

// ok reports whether nothing is lost and only batches were repeated.
func (r *report) ok() bool { return r.Lost == 0 && r.Foreign == 0 }

// place is where an image lies.
type place struct {
	topic     string
	partition int32
	offset    int64
}

func main() {
	f := flag.NewFlagSet("mnist-verify", flag.ContinueOnError)
	brokers := f.String("brokers", "127.0.0.1:9092", "Kafka addresses, host:port,…")
	images := f.String("images-topic", "images", "topic of the images")
	digits := f.String("digits-topic", "digits", "topic of the results")
	timeout := f.Duration("timeout", time.Minute, "how long reading may take")
	if err := cli.Parse(f, "mnist-verify --brokers 127.0.0.1:9092", os.Args[1:], os.Stdout); err != nil {
		os.Exit(cli.Code("mnist-verify", err, os.Stderr))
	}
	addresses, err := cli.Brokers(*brokers)
	if err == nil && *timeout <= 0 {
		err = fmt.Errorf("%w: --timeout %s is not above 0", cli.ErrUsage, *timeout)
	}
	if err != nil {
		os.Exit(cli.Code("mnist-verify", err, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	r, err := verify(ctx, addresses, *images, *digits)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mnist-verify:", err)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil || !r.ok() {
		os.Exit(1)
	}
}

// verify reads both topics and compares them.
func verify(ctx context.Context, brokers []string, images, digits string) (*report, error) {
	r := &report{}
	batchOf := make(map[place]uint64)
	double := make(map[uint64]bool)
	err := readAll(ctx, brokers, digits, func(rec *kgo.Record) error {
		var d struct {
			Topic     string `json:"topic"`
			Partition int32  `json:"partition"`
			Offset    int64  `json:"offset"`
			Batch     uint64 `json:"batch"`
		}
		if err := json.Unmarshal(rec.Value, &d); err != nil {
			return fmt.Errorf("topic %s partition %d offset %d: %w", digits, rec.Partition, rec.Offset, err)
		}
		at := place{d.Topic, d.Partition, d.Offset}
		before, seen := batchOf[at]
		if !seen {
			batchOf[at] = d.Batch
			return nil
		}
		r.Duplicates++
		double[d.Batch] = true
		if before != d.Batch {
			r.Foreign++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = readAll(ctx, brokers, images, func(rec *kgo.Record) error {
		r.Images++
		if _, ok := batchOf[place{rec.Topic, rec.Partition, rec.Offset}]; !ok {
			r.Lost++
		}
		return nil
	})
	r.DoubleBatches = len(double)
	return r, err
}

// readAll hands over what is in a topic, from the start of each partition to
// where it ends now. Offsets without a record, such as those of transactions'
// marks, are passed over.
func readAll(ctx context.Context, brokers []string, topic string, take func(*kgo.Record) error) error {
	ends, err := kafka.EndOffsets(ctx, brokers, topic)
	if err != nil {
		return err
	}
	left, from := make(map[int32]int64), make(map[int32]kgo.Offset)
	for p, end := range ends[topic] {
		if end > 0 {
			left[p], from[p] = end, kgo.NewOffset().AtStart()
		}
	}
	if len(left) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return fmt.Errorf("connecting to read %s: %w", topic, err)
	}
	defer cl.Close()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading %s: %w", topic, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			end, open := left[rec.Partition]
			if !open || rec.Offset >= end {
				delete(left, rec.Partition)
				return
			}
			if !rec.Attrs.IsControl() && err == nil {
				err = take(rec)
			}
			if rec.Offset == end-1 {
				delete(left, rec.Partition)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
