package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// TestBrokersFail takes real brokers from under streams that read, and write what they
// have read, each by another cadence: each reads every record once, in time, and none is
// missing from what it wrote. What happens to the brokers happens to all streams at once, since
// it takes long.
func TestBrokersFail(t *testing.T) {
	b := kafkatest.OwnCluster(t)
	for _, c := range []struct {
		name    string
		happens func(t *testing.T, w *watched)
	}{{"a broker is lost", brokerIsLost}, {"leaders move", leadersMove}} {
		whole := t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			w := &watched{Process: b, in: b.Topic(t, 6)}
			for _, s := range []*watchedStream{{name: "by interval"}, {name: "as soon as possible", args: []string{"--asap", "--batch-interval", "1h"}}} {
				s.out, s.seen = b.Topic(t, 3), make(map[int]int)
				w.streams = append(w.streams, s)
			}
			ctx, stop := context.WithCancel(ctx)
			var running sync.WaitGroup
			for _, s := range w.streams {
				running.Go(func() { s.run(t, ctx, w) })
			}
			defer running.Wait()
			defer stop()
			var producer sync.WaitGroup
			defer producer.Wait()
			producing, enough := context.WithCancel(ctx)
			defer enough()
			producer.Go(func() { w.produce(t, producing) })
			w.goesOn(t)
			c.happens(t, w)
			enough()
			producer.Wait()
			written := int(w.written.Load())
			for _, s := range w.streams {
				s.reads(t, written)
			}
			stop()
			running.Wait()
			t.Logf("%d records", written)
			for _, s := range w.streams {
				s.check(t, w, written)
			}
		})
		if !whole {
			return // what it left isn't what the next one begins with
		}
	}
}

// leadersMove stops each broker in good order, so that others lead its partitions, and
// lets it lead them again.
func leadersMove(t *testing.T, w *watched) {
	for node := 1; node <= 3; node++ {
		w.StopNode(t, node)
		kafkatest.Until(t, "others lead the stopped broker's partitions", func() bool {
			return w.all(t, func(p kadm.PartitionDetail) bool { return p.Leader >= 1 && p.Leader != int32(node) })
		})
		w.goesOn(t)
		w.returns(t)
	}
}

// brokerIsLost kills a broker, and starts it when the stream has gone on without it.
func brokerIsLost(t *testing.T, w *watched) {
	w.KillNode(t, 2)
	w.goesOn(t)
	kafkatest.Until(t, "two of three have each record", func() bool {
		return w.all(t, func(p kadm.PartitionDetail) bool { return len(p.ISR) == 2 })
	})
	w.goesOn(t)
	w.returns(t)
}

// watched is a topic on brokers that fail, with streams that read it.
type watched struct {
	*kafkatest.Process
	in      string
	streams []*watchedStream
	written atomic.Int64 // records that are acknowledged
}

// mostEmpty is how many batches may be empty of a stream that makes them as soon as there are
// records: each broker that fails makes some, and each leader that moves.
const mostEmpty = 20

// watchedStream is one of these streams.
//
// THREADING: mu guards the fields below it; the stream's goroutine adds to them.
type watchedStream struct {
	name string
	args []string // its cadence
	out  string

	mu      sync.Mutex
	seen    map[int]int // how often, by a record's number
	batches int
	empty   int // of them
}

func (s *watchedStream) run(t *testing.T, ctx context.Context, w *watched) {
	args := append([]string{"--master", "local[2]", "--log-level", "warn", "--brokers", strings.Join(w.Addrs, ",")}, s.args...)
	err := engine.NewApp("test").Run(ctx, args, 100*time.Millisecond, func(ssc *engine.StreamingContext) error {
		numbers := kafka.Direct(ssc, kafka.Subscribe(w.in), func(r *kafka.Record) (int, error) { return strconv.Atoi(string(r.Value)) })
		kafka.Sink(numbers, s.out, func(n int) ([]byte, error) { return fmt.Append(nil, n), nil })
		engine.ForEachBatch(numbers, func(_ engine.Batch, rows []int) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, n := range rows {
				s.seen[n]++
			}
			s.batches++
			if len(rows) == 0 {
				s.empty++
			}
			return nil
		})
		return nil
	})
	if err != nil && ctx.Err() == nil {
		t.Errorf("%s: %v", s.name, err)
	}
}

// produce writes numbers until it is told to stop.
func (w *watched) produce(t *testing.T, ctx context.Context) {
	cl := w.Client(t, kgo.DefaultProduceTopic(w.in), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	written := 0
	for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		batch := make([]*kgo.Record, 12)
		for i := range batch {
			batch[i] = kgo.StringRecord(strconv.Itoa(written + i))
		}
		// What was begun is finished, so that all numbers up to the last are there.
		if err := cl.ProduceSync(context.WithoutCancel(ctx), batch...).FirstErr(); err != nil {
			t.Errorf("writing record %d: %v", written, err)
			return
		}
		written += len(batch)
		w.written.Store(int64(written))
	}
}

// read returns how many records the stream has read.
func (s *watchedStream) read() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// goesOn waits until each stream has read more of every partition: the producer writes to
// all of them in turn, and waits for each.
func (w *watched) goesOn(t *testing.T) {
	t.Helper()
	enough := make([]int, len(w.streams))
	for i, s := range w.streams {
		enough[i] = s.read() + 240
	}
	for i, s := range w.streams {
		s.reads(t, enough[i])
	}
}

// reads waits until the stream has read so many records, for longer than brokers on a
// busy machine need to find a new controller and new leaders.
func (s *watchedStream) reads(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); s.read() < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: the stream has read %d records; it is to read %d", s.name, s.read(), n)
		}
	}
}

// returns starts the broker that is gone and lets it lead its partitions again.
func (w *watched) returns(t *testing.T) {
	t.Helper()
	w.Start(t)
	kafkatest.Until(t, "all three have each record", func() bool {
		return w.all(t, func(p kadm.PartitionDetail) bool { return len(p.ISR) == 3 })
	})
	var topics kadm.TopicsSet
	topics.Add(w.in, 0, 1, 2, 3, 4, 5)
	for _, s := range w.streams {
		topics.Add(s.out, 0, 1, 2)
	}
	if _, err := w.Admin().ElectLeaders(t.Context(), kadm.ElectPreferredReplica, topics); err != nil {
		t.Fatal(err)
	}
	kafkatest.Until(t, "the broker leads its partitions again", func() bool {
		return w.all(t, func(p kadm.PartitionDetail) bool { return p.Leader == p.Replicas[0] })
	})
	w.goesOn(t)
}

// all reports whether all partitions of the topics are so.
func (w *watched) all(t *testing.T, so func(kadm.PartitionDetail) bool) bool {
	names, want := []string{w.in}, 6
	for _, s := range w.streams {
		names, want = append(names, s.out), want+3
	}
	topics, err := w.Admin().ListTopics(t.Context(), names...)
	if err != nil || topics.Error() != nil {
		return false // of the broker that is gone; the next one is asked again
	}
	n := 0
	for _, topic := range topics {
		for _, p := range topic.Partitions {
			if !so(p) {
				return false
			}
			n++
		}
	}
	return n == want
}

// check fails the test unless each record was read once, and written at least once, and few
// batches were made in vain.
func (s *watchedStream) check(t *testing.T, w *watched, written int) {
	out := make(map[string]bool)
	for p := range int32(3) {
		for _, r := range w.Consume(t, s.out, p, kgo.ReadUncommitted()) {
			out[string(r.Value)] = true
		}
	}
	lost, doubled, unwritten := 0, 0, 0
	for n := range written {
		switch s.seen[n] {
		case 0:
			lost++
		case 1:
		default:
			doubled++
		}
		if !out[strconv.Itoa(n)] {
			unwritten++
		}
	}
	if lost+doubled+unwritten > 0 || len(s.seen) != written {
		t.Errorf("%s: of %d records, %d were lost, %d read twice, %d not written on; %d were read", s.name, written, lost, doubled, unwritten, len(s.seen))
	}
	if s.args != nil && s.empty > mostEmpty {
		t.Errorf("%s: %d batches of %d were empty", s.name, s.empty, s.batches)
	}
	t.Logf("%s: %d batches, %d of them empty", s.name, s.batches, s.empty)
}
