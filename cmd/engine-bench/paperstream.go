package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// paperStream is the engine as a cell's consumers: consumers.
//
// THREADING: mu guards what the stream's driver notes.
type paperStream struct {
	addr      string
	master    string
	network   *mnistBench
	weights   string // file, for executor processes
	recognise bool
	work      workOf
	ready     func() // nil in executor processes

	mu   sync.Mutex
	read int64
	span span
}

// newStream returns the engine for a cell: a slot for each consumer in this process, or
// where they recognise an executor process for each.
func (b *paperBench) newStream(c paper.Cell, w workOf) *paperStream {
	s := &paperStream{addr: b.addr, network: b.network, weights: b.weights, work: w, recognise: c.Scenario == paper.Recognise}
	s.master = fmt.Sprintf("local[%d]", c.Consumers)
	if s.recognise {
		s.master = b.executors(c.Consumers)
	}
	return s
}

func (s *paperStream) close() {}

func (s *paperStream) run(ctx context.Context, ready func()) (span, error) {
	s.ready = ready
	err := s.stream(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.read != s.work.n {
		err = fmt.Errorf("the engine read %d of %d images of topic %s", s.read, s.work.n, s.work.topic)
	}
	return s.span, err
}

// runExecutor is the stream in an executor process, which has the stream's declarations of it.
func (o *paperFlags) runExecutor(ctx context.Context, network *mnistBench) (err error) {
	if network.weights, err = os.ReadFile(o.weights); err != nil {
		return err
	}
	s := &paperStream{addr: o.brokers, network: network, recognise: o.recognise, work: workOf{topic: o.jobTopic}}
	return s.stream(ctx)
}

// stream reads as soon as there are images, until all are read. Batches are bounded by
// what is there alone: that is what a client does.
func (s *paperStream) stream(ctx context.Context) error {
	app := engine.NewApp("bench")
	app.ChildArgs("paper", "--brokers", s.addr, "--job-topic", s.work.topic, "--job-weights", s.weights,
		fmt.Sprintf("--job-recognise=%t", s.recognise), "--model", s.network.model)
	args := append(streamArgs(s.master, s.addr), "--asap", "--conf", "streaming.backpressure.enabled=false",
		"--conf", "streaming.stopGracefullyOnShutdown=false") // an interrupt doesn't wait for brokers that are gone
	return app.Run(ctx, args, time.Minute, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(s)
		from := engine.Value(ssc, "from", func(context.Context) (map[int32]int64, error) { return s.work.from, nil })
		pixels := kafka.Direct(ssc, kafka.Subscribe(s.work.topic), func(r *kafka.Record) ([]byte, error) { return r.Value, nil },
			kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{s.work.topic: from})))
		var done *engine.DStream[int]
		if s.recognise {
			done = s.network.digits(ssc, pixels)
		} else {
			done = engine.Map(pixels, func(p []byte) int { return len(p) })
		}
		engine.ForEachBatch(engine.Count(done), func(_ engine.Batch, n []int64) error {
			if s.count(n[0]) {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
}

// count notes images that are read and reports whether all are.
func (s *paperStream) count(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read += n
	s.span.ended = time.Now()
	return s.read >= s.work.n
}

// OnStreamingStarted notes that executors are there and the first batch is about to be planned.
func (s *paperStream) OnStreamingStarted(time.Time) { s.ready() }

// OnBatchSubmitted notes when the first batch with images was about to be planned: with
// --asap that is its time.
func (s *paperStream) OnBatchSubmitted(b engine.BatchInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Records > 0 && s.span.began.IsZero() {
		s.span.began = b.Time
	}
}
