package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// span is when consumers began to read, and when they had read all.
type span struct{ began, ended time.Time }

// consumers read what a run is to read of a topic.
type consumers interface {
	// run reads and returns when all is read; ready is called once all is started.
	run(ctx context.Context, ready func()) (span, error)
	close()
}

// workOf is what consumers read.
type workOf struct {
	topic string
	from  map[int32]int64 // by partition
	n     int64           // images
}

// newConsumers returns a cell's consumers.
func (b *paperBench) newConsumers(ctx context.Context, c paper.Cell, w workOf) (consumers, error) {
	if c.Reader == paper.Bare {
		return b.newBareConsumers(ctx, c, w)
	}
	return b.newStream(c, w), nil
}

// read lets consumers read the loaded topic and returns their images/s.
func (b *paperBench) read(ctx context.Context, c paper.Cell) (float64, error) {
	w := workOf{topic: b.loaded.name, n: b.perRun}
	if c.Scenario == paper.Recognise {
		w.n = b.toDigits
	}
	ends, err := kafka.EndOffsets(ctx, b.brokers(), w.topic)
	if err != nil {
		return 0, err
	}
	w.from = lastOf(ends[w.topic], w.n)
	r, err := b.newConsumers(ctx, c, w)
	if err != nil {
		return 0, err
	}
	defer r.close()
	s, err := r.run(ctx, func() {})
	if err != nil {
		return 0, err
	}
	return float64(w.n) / s.ended.Sub(s.began).Seconds(), nil
}

// lastOf returns where to begin so that n records are read until the partitions' ends,
// of each partition the same part.
func lastOf(ends map[int32]int64, n int64) map[int32]int64 {
	var all int64
	for _, end := range ends {
		all += end
	}
	from := make(map[int32]int64)
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		end := ends[p]
		take := end
		if all > 0 {
			take = min(end, end*n/all)
		}
		from[p] = end - take
		n, all = n-take, all-end
	}
	return from
}

// both lets a producer write while consumers read.
func (b *paperBench) both(ctx context.Context, c paper.Cell) (m paper.Measured, err error) {
	topic, err := b.newTopic(ctx, c)
	if err != nil {
		return m, err
	}
	defer b.drop(ctx, topic)
	from := make(map[int32]int64)
	for p := range c.Partitions {
		from[int32(p)] = 0
	}
	r, err := b.newConsumers(ctx, c, workOf{topic, from, b.perRun})
	if err != nil {
		return m, err
	}
	defer r.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started, over := make(chan struct{}), make(chan struct{})
	var s span
	var failed error
	go func() {
		defer close(over)
		s, failed = r.run(ctx, func() { close(started) })
	}()
	select {
	case <-started:
	case <-over:
		return m, errors.Join(failed, ctx.Err())
	}
	began, rate, err := b.write(ctx, topic)
	if err != nil {
		cancel()
	}
	<-over
	if err == nil {
		err = failed
	}
	if err != nil {
		return m, err
	}
	return paper.Measured{Written: rate, Read: float64(b.perRun) / s.ended.Sub(began).Seconds()}, nil
}

// bareConsumers are Kafka clients, each with its share of the partitions, as a group would
// give it to them, but for good.
//
// THREADING: each has a goroutine, which run waits for.
type bareConsumers struct {
	work    workOf
	clients []*kgo.Client
	handle  []func(kgo.Fetches) error // what each does with what it reads
	left    atomic.Int64              // images
}

// newBareConsumers returns clients that are connected.
func (b *paperBench) newBareConsumers(ctx context.Context, c paper.Cell, w workOf) (_ *bareConsumers, err error) {
	r := &bareConsumers{work: w}
	r.left.Store(w.n)
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	for range c.Consumers {
		cl, err := b.newClient(ctx)
		if err != nil {
			return nil, err
		}
		r.clients = append(r.clients, cl)
		handle := addSizes()
		if c.Scenario == paper.Recognise {
			if handle, err = b.network.recogniser(); err != nil {
				return nil, err
			}
		}
		r.handle = append(r.handle, handle)
	}
	return r, nil
}

func (r *bareConsumers) close() {
	for _, cl := range r.clients {
		cl.Close()
	}
}

func (r *bareConsumers) run(ctx context.Context, ready func()) (span, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	s := span{began: time.Now()}
	ends, errs := make([]time.Time, len(r.clients)), make([]error, len(r.clients))
	var work sync.WaitGroup
	for i, cl := range r.clients {
		if share := r.share(i); len(share) > 0 {
			cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.work.topic: share})
		}
		work.Go(func() {
			defer cancel() // all is read, or one has failed
			ends[i], errs[i] = r.poll(inner, cl, r.handle[i])
		})
	}
	ready()
	work.Wait()
	s.ended = slices.MaxFunc(ends, time.Time.Compare)
	err := errors.Join(errs...)
	if left := r.left.Load(); err == nil && left != 0 {
		err = fmt.Errorf("reading topic %s: %d of %d images were read", r.work.topic, r.work.n-left, r.work.n)
	}
	return s, err
}

// share returns the partitions of one of the clients.
func (r *bareConsumers) share(i int) map[int32]kgo.Offset {
	share := make(map[int32]kgo.Offset)
	for p, from := range r.work.from {
		if int(p)%len(r.clients) == i {
			share[p] = kgo.NewOffset().At(from)
		}
	}
	return share
}

// poll reads until all clients together have read all, and returns when this one had its
// last images.
func (r *bareConsumers) poll(ctx context.Context, cl *kgo.Client, handle func(kgo.Fetches) error) (last time.Time, err error) {
	for r.left.Load() > 0 {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return last, nil // all is read; or who waits finds that it isn't
		}
		if err := fs.Err(); err != nil {
			return last, fmt.Errorf("reading topic %s: %w", r.work.topic, err)
		}
		if err := handle(fs); err != nil {
			return last, err
		}
		last = time.Now()
		r.left.Add(-int64(fs.NumRecords()))
	}
	return last, nil
}

// addSizes adds up the images' bytes.
func addSizes() func(kgo.Fetches) error {
	var bytes int64
	return func(fs kgo.Fetches) error {
		fs.EachRecord(func(r *kgo.Record) { bytes += int64(len(r.Value)) })
		return nil
	}
}

// recogniser returns what recognises images with the compiled network.
func (b *mnistBench) recogniser() (func(kgo.Fetches) error, error) {
	net := b.network()
	if err := serializers.LoadNPZBytes(b.weights, net); err != nil {
		return nil, err
	}
	m, err := compile.Network(net.Forward, 1, mnist.Rows, mnist.Cols)
	if err != nil {
		return nil, err
	}
	const batch = 256
	worker, x := m.NewWorker(batch), make([]float32, batch*imageSize)
	var digits [10]int64
	recognise := func(n int) error {
		out, err := worker.Run(x[:n*imageSize], n)
		if err != nil {
			return err
		}
		for row := range slices.Chunk(out[:n*len(digits)], len(digits)) {
			digits[argmax(row)]++
		}
		return nil
	}
	return func(fs kgo.Fetches) error {
		n := 0
		for in := fs.RecordIter(); !in.Done(); {
			toFloats(in.Next().Value, x[n*imageSize:(n+1)*imageSize])
			if n++; n == batch {
				if err := recognise(n); err != nil {
					return err
				}
				n = 0
			}
		}
		if n == 0 {
			return nil
		}
		return recognise(n)
	}, nil
}
