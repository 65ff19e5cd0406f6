package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// cameras take turns to show the MNIST test images, at a steady rate. Camera c
// takes the frames c, c+n, c+2n, … of n cameras and writes to one partition, so
// that its frames keep their order.
type cameras struct {
	opt     options
	brokers []string
	base    map[int32]int64 // where this job's images begin
}

// run produces until all images are taken or ctx ends. A job that goes on after
// a failure continues where its cameras were: what is in the topic is counted.
func (c *cameras) run(ctx context.Context) error {
	images, labels, err := testImages()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...), kgo.DefaultProduceTopic(c.opt.imagesTopic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return fmt.Errorf("connecting the cameras: %w", err)
	}
	defer cl.Close()
	taken, partitions, err := c.taken(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	note := func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	started, first := time.Now(), taken
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.opt.images == 0 || taken < int64(c.opt.images) {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("producing images: %w", err)
		case <-tick.C:
		}
		due := first + int64(time.Since(started).Seconds()*c.opt.rate)
		if c.opt.images > 0 {
			due = min(due, int64(c.opt.images))
		}
		for ; taken < due; taken++ {
			i := int(taken) % len(labels)
			cl.Produce(ctx, c.record(taken, partitions, images[i], labels[i]), note)
		}
	}
	return cl.Flush(ctx)
}

// record is the image with a number, counted over all cameras.
func (c *cameras) record(n int64, partitions int, pixels []byte, label byte) *kgo.Record {
	camera := n % int64(c.opt.cameras)
	return &kgo.Record{
		Partition: int32(camera % int64(partitions)),
		Key:       fmt.Appendf(nil, "camera-%d", camera+1),
		Value:     pixels,
		Headers: []kgo.RecordHeader{
			{Key: frameHeader, Value: strconv.AppendInt(nil, n/int64(c.opt.cameras), 10)},
			{Key: capturedHeader, Value: strconv.AppendInt(nil, time.Now().UnixNano(), 10)},
			{Key: labelHeader, Value: strconv.AppendInt(nil, int64(label), 10)},
		},
	}
}

// taken returns how many images this job's cameras have written, and to how
// many partitions they write.
func (c *cameras) taken(ctx context.Context) (n int64, partitions int, err error) {
	ends, err := kafka.EndOffsets(ctx, c.brokers, c.opt.imagesTopic)
	if err != nil {
		return 0, 0, err
	}
	for p, end := range ends[c.opt.imagesTopic] {
		n += end - c.base[p]
	}
	return n, len(ends[c.opt.imagesTopic]), nil
}

// testImages returns the 10,000 MNIST test images, 784 bytes each, and their labels.
func testImages() (images [][]byte, labels []byte, err error) {
	set, err := mnist.Test()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the MNIST test images: %w", err)
	}
	for i := range set.Labels {
		images = append(images, set.Images[i*imageSize:(i+1)*imageSize])
	}
	return images, set.Labels, nil
}
