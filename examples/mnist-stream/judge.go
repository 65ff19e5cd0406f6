package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// judge reads the digits back as any consumer would, and says by the images'
// own coordinates what was lost and what came twice.
type judge struct {
	client *kgo.Client
	cancel context.CancelFunc
	reader sync.WaitGroup
	base   map[int32]int64 // of images
	since  time.Time       // when this process began to judge

	mu        sync.Mutex
	next      map[int32]int64   // of digits, by partition: what is read next
	advanced  chan struct{}     // closed and replaced when next moves
	err       error             // why reading ended
	sources   map[int32]*source // by partition of images
	unique    int64
	earlier   int64 // of them, images that were taken before since
	duplicate int64
	correct   int64
	confusion [10][10]int64 // by label, then by digit
	latency   histogram     // of images that were taken since
}

// source remembers which offsets of an image partition have a digit: all below
// low, and those in above. Its size is bounded: what is too far behind is given
// up as lost.
type source struct {
	low   int64
	above map[int64]struct{}
	until int64 // after the last offset that has a digit
	found int64 // offsets that have one
}

// maxAbove bounds a source's memory.
const maxAbove = 1 << 18

// startJudge begins to read a digits topic from the given offsets on; images are
// where the job's images begin.
func startJudge(brokers []string, topic string, images, digits map[int32]int64) (*judge, error) {
	from := make(map[int32]kgo.Offset)
	j := &judge{base: images, since: time.Now(), next: make(map[int32]int64), sources: make(map[int32]*source), advanced: make(chan struct{})}
	for p, at := range digits {
		from[p], j.next[p] = kgo.NewOffset().At(at), at
	}
	var err error
	j.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, fmt.Errorf("connecting the judge: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel = cancel
	j.reader.Go(func() { j.read(ctx) })
	return j, nil
}

// read takes in digits until ctx ends.
func (j *judge) read(ctx context.Context) {
	for {
		fetches := j.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		j.mu.Lock()
		fetches.EachError(func(_ string, _ int32, err error) { j.err = err })
		fetches.EachRecord(func(r *kgo.Record) {
			j.next[r.Partition] = r.Offset + 1
			var d Digit
			if err := json.Unmarshal(r.Value, &d); err != nil {
				j.err = fmt.Errorf("a digit at partition %d offset %d can't be read: %w", r.Partition, r.Offset, err)
				return
			}
			j.take(d, now)
		})
		close(j.advanced)
		j.advanced = make(chan struct{})
		j.mu.Unlock()
	}
}

// take counts one digit. How long it took is known of images that were taken in
// this process's time: what is older may have waited until the program was started
// again.
func (j *judge) take(d Digit, now time.Time) {
	s := j.sources[d.Partition]
	if s == nil {
		s = &source{low: j.base[d.Partition], above: make(map[int64]struct{})}
		j.sources[d.Partition] = s
	}
	if !s.add(d.Offset) {
		j.duplicate++
		return
	}
	j.unique++
	if d.Digit == d.Label {
		j.correct++
	}
	if d.Label >= 0 && d.Label < 10 && d.Digit >= 0 && d.Digit < 10 {
		j.confusion[d.Label][d.Digit]++
	}
	if captured := time.Unix(0, d.Captured); captured.Before(j.since) {
		j.earlier++
	} else {
		j.latency.add(now.Sub(captured))
	}
}

// add notes an offset and reports whether it is new.
func (s *source) add(offset int64) bool {
	if _, seen := s.above[offset]; seen || offset < s.low {
		return false
	}
	s.above[offset] = struct{}{}
	s.until = max(s.until, offset+1)
	s.found++
	for {
		if _, ok := s.above[s.low]; ok {
			delete(s.above, s.low)
		} else if len(s.above) <= maxAbove {
			return true
		}
		s.low++
	}
}

// await waits until all digits before the given offsets are read.
func (j *judge) await(ctx context.Context, ends map[int32]int64) error {
	for {
		j.mu.Lock()
		advanced, err, left := j.advanced, j.err, int64(0)
		for p, end := range ends {
			left += max(0, end-j.next[p])
		}
		j.mu.Unlock()
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return fmt.Errorf("reading the digits back: %d are left: %w", left, ctx.Err())
		}
	}
}

// close ends the reading.
func (j *judge) close() error {
	j.cancel()
	j.reader.Wait()
	j.client.Close()
	return nil
}

// summary adds up what was read; ends are where the images end. What lies behind
// the last image that has a digit is lost if the stream has read everything, and
// else just not read yet.
func (j *judge) summary(ends map[int32]int64, readAll bool) summary {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := summary{
		Images: j.unique, earlier: j.earlier, Correct: j.correct, Duplicates: j.duplicate, confusion: j.confusion,
		LatencyP50: j.latency.quantile(0.5), LatencyP99: j.latency.quantile(0.99),
	}
	for p, end := range ends {
		src := j.sources[p]
		if src == nil {
			src = &source{until: j.base[p]}
		}
		s.Lost += src.until - j.base[p] - src.found
		s.unread += end - src.until
	}
	if readAll {
		s.Lost, s.unread = s.Lost+s.unread, 0
	}
	if s.Images > 0 {
		s.Accuracy = float64(s.Correct) / float64(s.Images)
	}
	return s
}
