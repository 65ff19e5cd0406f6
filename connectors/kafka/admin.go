package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/engine"
)

// adminTimeout bounds what is asked of the brokers before a stream starts.
const adminTimeout = 15 * time.Second

// EnsureTopic creates a topic with the given number of partitions, unless it is
// there, and returns when the brokers know of it. A topic that is there with
// another number of partitions is left alone and is no error. Call it in OnDriver.
func EnsureTopic(ctx context.Context, brokers []string, topic string, partitions int) error {
	if partitions < 1 {
		return fmt.Errorf("%w: topic %s: the number of partitions is %d, it must be at least 1", engine.ErrUsage, topic, partitions)
	}
	return withAdmin(ctx, brokers, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, int32(partitions), -1, nil, topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating topic %s: %w", topic, err)
		}
		return awaitTopic(ctx, adm, topic)
	})
}

// topicPoll is the time between two looks at a new topic.
const topicPoll = 50 * time.Millisecond

// awaitTopic waits until a new topic can be asked for: the controller answers
// before the brokers that lead its partitions have heard of it.
func awaitTopic(ctx context.Context, adm *kadm.Client, topic string) error {
	tick := time.NewTicker(topicPoll)
	defer tick.Stop()
	for {
		listed, err := adm.ListEndOffsets(ctx, topic)
		if err == nil {
			err = listed.Error()
		}
		if err == nil {
			return nil
		}
		if !kerr.IsRetriable(err) {
			return fmt.Errorf("waiting for topic %s: %w", topic, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for topic %s: %w", topic, err)
		}
	}
}

// requireTopic returns an error if a topic to be written doesn't exist.
func requireTopic(ctx context.Context, brokers []string, topic string) error {
	return withAdmin(ctx, brokers, func(ctx context.Context, adm *kadm.Client) error {
		topics, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return fmt.Errorf("looking for topic %s: %w", topic, err)
		}
		if !topics.Has(topic) {
			return fmt.Errorf("topic %s, which the sink writes, does not exist at %s; create it", topic, strings.Join(brokers, ","))
		}
		return nil
	})
}

// withAdmin runs f with an admin client.
func withAdmin(ctx context.Context, brokers []string, f func(context.Context, *kadm.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ClientID("hibana-admin"))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", strings.Join(brokers, ","), err)
	}
	defer cl.Close()
	return f(ctx, kadm.NewClient(cl))
}

// EndOffsets returns the offset after the last record of each partition of the
// topics, which must exist.
func EndOffsets(ctx context.Context, brokers []string, topics ...string) (map[string]map[int32]int64, error) {
	ends := make(map[string]map[int32]int64)
	err := withAdmin(ctx, brokers, func(ctx context.Context, adm *kadm.Client) error {
		listed, err := adm.ListEndOffsets(ctx, topics...)
		if err == nil {
			err = listed.Error()
		}
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
