package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// adminTimeout bounds what is asked of the brokers before a stream starts.
const adminTimeout = 15 * time.Second

// EnsureTopic creates a topic with the given number of partitions, unless it is
// there, and waits until all of them can be used. A topic that is there with
// another number of partitions is left alone and is no error. It gives up after 15 seconds. Call
// it in OnDriver or Value, with the options of [ClientOptions] if there are any.
func EnsureTopic(ctx context.Context, brokers []string, topic string, partitions int, opts ...kgo.Opt) error {
	if topic == "" {
		return fmt.Errorf("%w: the topic to make has no name", engine.ErrUsage)
	}
	if partitions < 1 {
		return fmt.Errorf("%w: topic %s: the number of partitions is %d, it must be at least 1", engine.ErrUsage, topic, partitions)
	}
	return withAdmin(ctx, brokers, opts, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, int32(partitions), -1, nil, topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating topic %s: %w", topic, err)
		}
		// Brokers learn of a new topic and its leaders one by one, after the answer.
		if _, err := listEnds(ctx, adm, adminTimeout, topic); err != nil {
			return fmt.Errorf("waiting for topic %s: %w", topic, err)
		}
		return nil
	})
}

// requireTopic returns an error if a topic to be written by who doesn't exist.
func requireTopic(ctx context.Context, brokers []string, topic, who string, opts []kgo.Opt) error {
	return withAdmin(ctx, brokers, opts, func(ctx context.Context, adm *kadm.Client) error {
		topics, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return fmt.Errorf("looking for topic %s: %w", topic, err)
		}
		if !topics.Has(topic) {
			return fmt.Errorf("topic %s, which %s writes, at %s: %w; create it, for example with kafka.EnsureTopic in OnDriver before the stream", topic, who, strings.Join(brokers, ","), ranges.ErrUnknownTopic)
		}
		if err := topics[topic].Err; err != nil && !kerr.IsRetriable(err) {
			return fmt.Errorf("topic %s, which %s writes, at %s: %w", topic, who, strings.Join(brokers, ","), err)
		}
		return nil
	})
}

// withAdmin runs f with an admin client.
func withAdmin(ctx context.Context, brokers []string, opts []kgo.Opt, f func(context.Context, *kadm.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	var dials dialLog
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.WithHooks(&dials), kgo.SeedBrokers(brokers...), kgo.ClientID("hibana-admin"), kgo.DisableClientMetrics(), kgo.MetadataMinAge(adminPause),
	}, opts...)...)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", strings.Join(brokers, ","), err)
	}
	defer cl.Close()
	err = f(ctx, kadm.NewClient(cl))
	if last := dials.last.Load(); err != nil && last != nil {
		return fmt.Errorf("%w (%w)", err, *last)
	}
	if ranges.Refusal(err) && !dials.answered.Load() {
		return fmt.Errorf("%w; check the options of the client (kgo.SASL, kgo.DialTLSConfig), those of kafka.ClientOptions", err)
	}
	return err
}

// dialLog is a client's hook that notes whether a broker answered, and which
// broker's own address couldn't be reached.
type dialLog struct {
	answered atomic.Bool
	last     atomic.Pointer[error]
}

// OnBrokerConnect notes an address that can't be reached.
func (d *dialLog) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		d.last.Store(nil)
	} else if b.NodeID >= 0 {
		why := ranges.Unreachable(b.NodeID, err)
		d.last.Store(&why)
	}
}

// OnBrokerE2E notes an answer.
func (d *dialLog) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if e2e.Err() == nil && key == int16(kmsg.Metadata) {
		d.answered.Store(true)
	}
}

// EndOffsets returns up to where a stream can read each partition of the topics,
// which must exist: what it gives is where [Latest] begins. Records of a
// transaction that is still open, and those after it, come later. It gives up after 15 seconds, or
// when a topic isn't known for 2.
func EndOffsets(ctx context.Context, brokers []string, topics ...string) (map[string]map[int32]int64, error) {
	return EndOffsetsWith(ctx, brokers, nil, topics...)
}

// EndOffsetsWith is EndOffsets of brokers that need the given options, those of
// [ClientOptions].
func EndOffsetsWith(ctx context.Context, brokers []string, opts []kgo.Opt, topics ...string) (map[string]map[int32]int64, error) {
	ends := make(map[string]map[int32]int64)
	err := withAdmin(ctx, brokers, opts, func(ctx context.Context, adm *kadm.Client) error {
		listed, err := listEnds(ctx, adm, unknownTimeout, topics...)
		if err != nil {
			return fmt.Errorf("asking for the end of %s: %w", strings.Join(topics, ","), err)
		}
		listed.Each(func(o kadm.ListedOffset) {
			if ends[o.Topic] == nil {
				ends[o.Topic] = make(map[int32]int64)
			}
			ends[o.Topic][o.Partition] = o.Offset
		})
		return nil
	})
	return ends, err
}

const (
	// adminPause is the time between two attempts.
	adminPause = 50 * time.Millisecond
	// unknownTimeout is for how long a topic that nobody has just made may be
	// unknown: a broker may lag behind the controller.
	unknownTimeout = 2 * time.Second
)

// listEnds asks for the ends of topics (the last stable offsets, where streams
// end) until every partition's leader answers,
// or ctx ends, or a topic has been unknown for as long as unknown says.
func listEnds(ctx context.Context, adm *kadm.Client, unknown time.Duration, topics ...string) (kadm.ListedOffsets, error) {
	began := time.Now()
	for {
		listed, err := adm.ListCommittedOffsets(ctx, topics...)
		if err == nil {
			err = listed.Error()
		}
		gone := errors.Is(err, kerr.UnknownTopicOrPartition)
		if err == nil || !kerr.IsRetriable(err) || gone && time.Since(began) >= unknown {
			return listed, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(adminPause):
		}
	}
}
