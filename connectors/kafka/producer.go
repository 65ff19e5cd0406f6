package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// producers says how tasks write to a cluster.
type producers struct {
	brokers []string
	client  *[]kgo.Opt
	log     *slog.Logger
}

// producer is a process's client that writes to a cluster. All its tasks of a kind share
// it. It is a hook of that client.
type producer struct {
	*kgo.Client
	acked   atomic.Int64            // records of sinks that were acknowledged
	trouble atomic.Pointer[trouble] // the last with a broker
	waits   waits
}

// trouble is why a broker couldn't be reached or didn't answer.
type trouble struct {
	err error
	at  time.Time
}

// Times of a producer.
const (
	// deliveryTimeout is for how long a record may wait for its acknowledgement
	// (Kafka's delivery.timeout.ms), or deliverySlack longer.
	deliveryTimeout = 2 * time.Minute
	deliverySlack   = 5 * time.Second
	// added is for how long a partition that a topic doesn't have may be one that was just
	// added: brokers learn of it one by one.
	added = time.Second
)

// maxBuffered is how many bytes of records may wait for their acknowledgements: as many as a
// request may have, so that no record is too large for it that isn't for a request. Who writes
// more waits.
const maxBuffered = 100 << 20

// producerKey finds a process's producer of a cluster.
type producerKey struct {
	brokers string
	kind    producerKind
}

// producerKind tells a process's producers of one cluster.
type producerKind int

const (
	usual  producerKind = iota
	placed              // of records whose partition the program gives
	alone               // of large records, which are sent alone
)

// open returns the process's producer. Ending a task's context gives up what it
// has in flight: the next attempt may write it twice, as any attempt may.
func (p producers) open(process *task.Process, kind producerKind) (*producer, error) {
	addrs := strings.Join(p.brokers, ",")
	c, err := process.Resource(producerKey{addrs, kind}, func() (any, func() error, error) {
		out := &producer{}
		more := []kgo.Opt{kgo.WithHooks(out)}
		if kind == placed {
			more = append(more, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		}
		var err error
		out.Client, err = kgo.NewClient(p.options(more...)...)
		if err != nil {
			return nil, nil, err
		}
		return out, func() error { out.waits.close(); out.Close(); return nil }, nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the producer for %s: %w", addrs, err)
	}
	return c.(*producer), nil
}

// options returns a producer's options, the program's among them.
func (p producers) options(more ...kgo.Opt) []kgo.Opt {
	return slices.Concat([]kgo.Opt{
		kgo.SeedBrokers(p.brokers...), kgo.ClientID("hibana-sink"), kgo.DisableClientMetrics(),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(100_000), kgo.MaxBufferedBytes(maxBuffered), kgo.UnknownTopicRetries(3),
		kgo.AllowIdempotentProduceCancellation(),
	}, *p.client, more)
}

// check reports on the driver, before anything is read, that who can't write a
// topic.
func (p producers) check(ctx context.Context, topic, who string) error {
	if err := kgo.ValidateOpts(p.options()...); err != nil {
		return fmt.Errorf("%w: kafka.ClientOptions: a producer of %s can't be made with them: %w", engine.ErrUsage, who, err)
	}
	return requireTopic(ctx, p.brokers, topic, who, *p.client)
}

// lone is a process's producer of records that are larger than a batch may be, one
// after the other.
type lone struct {
	*kgo.Client
	turn chan struct{} // holds one while a record is sent
}

// sendAlone writes a record in a batch of its own, as large as a request may be:
// whether that is too large is the broker's to say.
func (p producers) sendAlone(tc *task.Context, usual *producer, r *kgo.Record) error {
	addrs := strings.Join(p.brokers, ",")
	c, err := tc.Process.Resource(producerKey{addrs, alone}, func() (any, func() error, error) {
		limit := usual.OptValue(kgo.BrokerMaxWriteBytes).(int32)
		cl, err := kgo.NewClient(p.options(kgo.WithHooks(usual), kgo.ProducerBatchMaxBytes(limit), kgo.MaxBufferedBytes(0))...) // 0: one record has no limit of its own
		if err != nil {
			return nil, nil, err
		}
		return &lone{cl, make(chan struct{}, 1)}, func() error { cl.Close(); return nil }, nil
	})
	if err != nil {
		return fmt.Errorf("opening the producer of large records for %s: %w", addrs, err)
	}
	out := c.(*lone)
	select {
	case out.turn <- struct{}{}:
		defer func() { <-out.turn }()
	case <-tc.Done():
		return fmt.Errorf("waiting to send a large record: %w", context.Cause(tc))
	}
	return usual.sendOne(tc, out.Client, r)
}

// sendOne sends a record with a client, whose troubles p knows, and waits for its acknowledgement.
func (p *producer) sendOne(tc *task.Context, cl *kgo.Client, r *kgo.Record) error {
	var waiting patience
	defer waiting.end()
	return p.explain(tc, cl.ProduceSync(waiting.begin(tc), r).FirstErr())
}

// explain says of a record's error that it is because it has waited for too long, and what the last
// trouble was meanwhile; or that it was given up with a record of another task, which the client had
// put in front of it.
func (p *producer) explain(tc *task.Context, err error) error {
	if errors.Is(err, context.Canceled) && tc.Err() == nil {
		return fmt.Errorf("given up with the records of another task, which was ended: %w", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || tc.Err() != nil {
		return err
	}
	last := p.trouble.Load()
	if last == nil || time.Since(last.at) >= deliveryTimeout || last.err.Error() == err.Error() { // the last: it was given up
		return fmt.Errorf("no acknowledgement within %s: %w", deliveryTimeout, err)
	}
	return fmt.Errorf("no acknowledgement within %s, %w: %w", deliveryTimeout, last.err, err)
}

// patience makes the contexts of the records that a task produces, which bound how long each waits.
// kgo.RecordDeliveryTimeout would go by the records' timestamps, which a program may set: it gives
// up at once those with a time that is past, and never those with one to come.
type patience struct {
	newest  context.Context
	until   time.Time // when newest is too old for another record
	cancels []context.CancelFunc
}

// begin returns the context of a record that begins to wait now. Those of deliverySlack share one.
func (p *patience) begin(tc *task.Context) context.Context {
	if now := time.Now(); p.newest == nil || now.After(p.until) {
		var cancel context.CancelFunc
		p.newest, cancel = context.WithTimeout(tc, deliveryTimeout+deliverySlack)
		p.until, p.cancels = now.Add(deliverySlack), append(p.cancels, cancel)
	}
	return p.newest
}

// end frees what the contexts hold, when no record waits any more.
func (p *patience) end() {
	for _, cancel := range p.cancels {
		cancel()
	}
}

// reach makes sure that a topic has a partition that a record is to be written to, and that the
// client knows it: by itself it learns of partitions that are added only every few minutes.
func (p *producer) reach(ctx context.Context, topic string, partition int32) error {
	known := func(n int32) bool {
		leader, _, err := p.PartitionLeader(topic, n)
		return leader >= 0 || err != nil
	}
	if known(partition) {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, adminTimeout, fmt.Errorf("it didn't come within %s", adminTimeout))
	defer cancel()
	tick := time.NewTicker(adminPause)
	defer tick.Stop()
	for began := time.Now(); ; {
		n, err := p.partitions(ctx, topic)
		if err != nil && !known(0) {
			return nil // who sends the first record of a topic waits for brokers for longer
		}
		if err != nil {
			return fmt.Errorf("looking for partition %d of topic %s: %w", partition, topic, err)
		}
		switch {
		case int(partition) < n && (known(partition) || !known(0)): // the client asks for a topic that is new to it
			return nil
		case int(partition) >= n && time.Since(began) >= added:
			return rdd.Permanent(fmt.Errorf("kafka.Partition gives a record of topic %s partition %d, which it doesn't have: it has %d, numbered from 0", topic, partition, n))
		}
		p.ForceMetadataRefresh()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("looking for partition %d of topic %s: %w", partition, topic, context.Cause(ctx))
		}
	}
}

// partitions asks a broker how many partitions a topic has: now, not some seconds ago.
func (p *producer) partitions(ctx context.Context, topic string) (int, error) {
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, p.Client)
	if err != nil {
		return 0, err
	}
	if len(resp.Topics) != 1 {
		return 0, fmt.Errorf("a broker answers for %d topics", len(resp.Topics))
	}
	return len(resp.Topics[0].Partitions), kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// OnBrokerConnect notes why a broker can't be reached.
func (p *producer) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	p.note(ranges.Unreachable(b.NodeID, err))
}

// OnBrokerE2E notes why a broker doesn't answer.
func (p *producer) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e2e kgo.BrokerE2E) { p.note(e2e.Err()) }

func (p *producer) note(err error) {
	if err != nil {
		p.trouble.Store(&trouble{err, time.Now()})
	}
}
