package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// show is what the driver shows of the run: a line or a live view for each
// batch, and a summary at the end. Only the driver's copy of it is ever used.
type show struct {
	opt     options
	brokers []string
	base    map[string]map[int32]int64
	stop    func()
	view    view
	judge   *judge

	mu          sync.Mutex // guards what follows
	started     time.Time
	lastUseful  time.Time // when the last batch with records was complete
	batches     int
	camerasDone time.Time
	readAll     bool // everything that the cameras took was given to a batch
	cameras     map[string]*tally
}

// tally counts what was recognised of one camera.
type tally struct{ images, correct int64 }

func newShow(ssc *engine.StreamingContext, opt options, brokers []string, base map[string]map[int32]int64) *show {
	return &show{
		opt: opt, brokers: brokers, base: base, stop: ssc.Stop,
		view: newView(os.Stderr, ssc.Logger()), cameras: make(map[string]*tally),
	}
}

// declare adds the cameras, the judge and the summary to the driver.
func (s *show) declare(ssc *engine.StreamingContext) {
	ssc.AddListener(s)
	ssc.OnDriver(func(context.Context) (err error) {
		s.judge, err = startJudge(s.brokers, s.opt.digitsTopic, s.base[s.opt.imagesTopic], s.base[s.opt.digitsTopic])
		return err
	})
	ssc.OnStop(s.summarise)
	ssc.DriverTask("cameras", func(ctx context.Context) error {
		c := cameras{s.opt, s.brokers, s.base[s.opt.imagesTopic]}
		if err := c.run(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		s.camerasDone = time.Now()
		s.mu.Unlock()
		return nil
	})
}

// count takes in what a batch recognised.
func (s *show) count(counts []rdd.Pair[outcome, int64]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range counts {
		t := s.cameras[c.Key.Camera]
		if t == nil {
			t = &tally{}
			s.cameras[c.Key.Camera] = t
		}
		t.images += c.Value
		if c.Key.Label == c.Key.Digit {
			t.correct += c.Value
		}
	}
}

// OnStreamingStarted notes when the stream began.
func (s *show) OnStreamingStarted(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.lastUseful = at, at
}

// OnBatchCompleted shows a batch, and stops the stream when everything that the
// cameras took has been recognised: a batch that was planned after the cameras
// were done found nothing.
func (s *show) OnBatchCompleted(b engine.BatchInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	if b.Records > 0 {
		s.lastUseful = time.Now()
	}
	s.view.batch(b, s.cameras)
	if !s.camerasDone.IsZero() && b.Time.After(s.camerasDone) && b.Records == 0 && b.Backlog == 0 {
		s.readAll = true
		s.stop()
	}
}

// summarise waits until the judge has read all digits and prints the summary.
func (s *show) summarise(ctx context.Context) error {
	if s.judge == nil {
		return nil // the stream never started
	}
	ends, err := kafka.EndOffsets(ctx, s.brokers, s.opt.imagesTopic, s.opt.digitsTopic)
	if err == nil {
		err = s.judge.await(ctx, ends[s.opt.digitsTopic])
	}
	if err = errors.Join(err, s.judge.close()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.end()
	sum := s.judge.summary(ends[s.opt.imagesTopic], s.readAll)
	sum.Batches = s.batches
	for _, t := range s.cameras {
		sum.Recognised += t.images
	}
	if d := s.lastUseful.Sub(s.started).Seconds(); d > 0 {
		sum.ImagesPerSecond = float64(sum.Recognised) / d
	}
	if s.opt.json {
		return sum.writeJSON(os.Stdout)
	}
	return sum.write(os.Stdout)
}
