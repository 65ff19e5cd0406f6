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

// TestBrokersFail takes real brokers from under a stream that reads, and writes what it
// has read: it reads every record once, in time, and none is missing from what it wrote.
func TestBrokersFail(t *testing.T) {
	b := kafkatest.OwnCluster(t)
	for _, c := range []struct {
		name    string
		happens func(t *testing.T, s *watchedStream)
	}{{"a broker is lost", brokerIsLost}, {"leaders move", leadersMove}} {
		whole := t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			s := &watchedStream{Process: b, in: b.Topic(t, 6), out: b.Topic(t, 3), seen: make(map[int]int)}
			ctx, s.stop = context.WithCancel(ctx)
			var stream sync.WaitGroup
			stream.Go(func() { s.run(t, ctx) })
			defer stream.Wait()
			defer s.stop()
			var producer sync.WaitGroup
			defer producer.Wait()
			producing, enough := context.WithCancel(ctx)
			defer enough()
			producer.Go(func() { s.produce(t, producing) })
			s.goesOn(t)
			c.happens(t, s)
			enough()
			producer.Wait()
			s.reads(t, int(s.written.Load()))
			s.stop()
			stream.Wait()
			s.check(t, int(s.written.Load()))
		})
		if !whole {
			return // what it left isn't what the next one begins with
		}
	}
}

// leadersMove stops each broker in good order, so that others lead its partitions, and
// lets it lead them again.
func leadersMove(t *testing.T, s *watchedStream) {
	for node := 1; node <= 3; node++ {
		s.StopNode(t, node)
		kafkatest.Until(t, "others lead the stopped broker's partitions", func() bool {
			return s.all(t, func(p kadm.PartitionDetail) bool { return p.Leader >= 1 && p.Leader != int32(node) })
		})
		s.goesOn(t)
		s.returns(t)
	}
}

// brokerIsLost kills a broker, and starts it when the stream has gone on without it.
func brokerIsLost(t *testing.T, s *watchedStream) {
	s.KillNode(t, 2)
	s.goesOn(t)
	kafkatest.Until(t, "two of three have each record", func() bool {
		return s.all(t, func(p kadm.PartitionDetail) bool { return len(p.ISR) == 2 })
	})
	s.goesOn(t)
	s.returns(t)
}

// watchedStream is a stream on brokers that fail.
//
// THREADING: mu guards seen; the stream's goroutine adds to it.
type watchedStream struct {
	*kafkatest.Process
	in, out string
	stop    context.CancelFunc
	written atomic.Int64 // records that are acknowledged

	mu   sync.Mutex
	seen map[int]int // how often, by a record's number
}

func (s *watchedStream) run(t *testing.T, ctx context.Context) {
	args := []string{"--master", "local[2]", "--log-level", "warn", "--brokers", strings.Join(s.Addrs, ",")}
	err := engine.NewApp("test").Run(ctx, args, 100*time.Millisecond, func(ssc *engine.StreamingContext) error {
		numbers := kafka.Direct(ssc, kafka.Subscribe(s.in), func(r *kafka.Record) (int, error) { return strconv.Atoi(string(r.Value)) })
		kafka.Sink(numbers, s.out, func(n int) ([]byte, error) { return fmt.Append(nil, n), nil })
		engine.ForEachBatch(numbers, func(_ engine.Batch, rows []int) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, n := range rows {
				s.seen[n]++
			}
			return nil
		})
		return nil
	})
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

// produce writes numbers until it is told to stop.
func (s *watchedStream) produce(t *testing.T, ctx context.Context) {
	cl := s.Client(t, kgo.DefaultProduceTopic(s.in), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
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
		s.written.Store(int64(written))
	}
}

// read returns how many records the stream has read.
func (s *watchedStream) read() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// goesOn waits until the stream has read more of every partition: the producer writes to
// all of them in turn, and waits for each.
func (s *watchedStream) goesOn(t *testing.T) {
	t.Helper()
	s.reads(t, s.read()+240)
}

// reads waits until the stream has read so many records, for longer than brokers on a
// busy machine need to find a new controller and new leaders.
func (s *watchedStream) reads(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); s.read() < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the stream has read %d records of %d that were written; it is to read %d", s.read(), s.written.Load(), n)
		}
	}
}

// returns starts the broker that is gone and lets it lead its partitions again.
func (s *watchedStream) returns(t *testing.T) {
	t.Helper()
	s.Start(t)
	kafkatest.Until(t, "all three have each record", func() bool {
		return s.all(t, func(p kadm.PartitionDetail) bool { return len(p.ISR) == 3 })
	})
	var topics kadm.TopicsSet
	topics.Add(s.in, 0, 1, 2, 3, 4, 5)
	topics.Add(s.out, 0, 1, 2)
	if _, err := s.Admin().ElectLeaders(t.Context(), kadm.ElectPreferredReplica, topics); err != nil {
		t.Fatal(err)
	}
	kafkatest.Until(t, "the broker leads its partitions again", func() bool {
		return s.all(t, func(p kadm.PartitionDetail) bool { return p.Leader == p.Replicas[0] })
	})
	s.goesOn(t)
}

// all reports whether all partitions of the stream's topics are so.
func (s *watchedStream) all(t *testing.T, so func(kadm.PartitionDetail) bool) bool {
	topics, err := s.Admin().ListTopics(t.Context(), s.in, s.out)
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
	return n == 9
}

// check fails the test unless each record was read once, and written at least once.
func (s *watchedStream) check(t *testing.T, written int) {
	out := make(map[string]bool)
	for p := range int32(3) {
		for _, r := range s.Consume(t, s.out, p, kgo.ReadUncommitted()) {
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
		t.Errorf("of %d records, %d were lost, %d read twice, %d not written on; %d were read", written, lost, doubled, unwritten, len(s.seen))
	}
	t.Logf("%d records", written)
}
