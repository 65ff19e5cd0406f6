package ranges

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicInfo is what the brokers say about one topic.
type topicInfo struct {
	id         [16]byte
	internal   bool // Kafka keeps it for itself
	partitions map[int32]leader
	err        error // the topic's own error, for example ErrUnknownTopic
}

// leader is where a partition is to be read. node is -1 during an election.
type leader struct {
	node, epoch int32
}

// describe asks any broker for topics. It also tells the client about brokers.
func describe(ctx context.Context, cl *kgo.Client, topics []string) (map[string]topicInfo, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none, as nil would mean all
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	infos, err := request(ctx, cl, req)
	if err != nil {
		return nil, fmt.Errorf("asking for the leaders of %q: %w", topics, err)
	}
	return infos, nil
}

// describeAll is describe for all topics that there are.
func describeAll(ctx context.Context, cl *kgo.Client) (map[string]topicInfo, error) {
	infos, err := request(ctx, cl, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return nil, fmt.Errorf("asking for all topics: %w", err)
	}
	return infos, nil
}

// request is a Metadata round trip to any broker.
func request(ctx context.Context, cl *kgo.Client, req *kmsg.MetadataRequest) (map[string]topicInfo, error) {
	req.AllowAutoTopicCreation = false
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	infos := make(map[string]topicInfo, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		info := topicInfo{id: t.TopicID, internal: t.IsInternal, partitions: make(map[int32]leader, len(t.Partitions))}
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
			info.err = ErrUnknownTopic
		case err != nil:
			info.err = err
		}
		for _, p := range t.Partitions {
			at := leader{p.Leader, p.LeaderEpoch}
			if kerr.ErrorForCode(p.ErrorCode) != nil && !errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.ReplicaNotAvailable) {
				at.node = -1
			}
			info.partitions[p.Partition] = at
		}
		infos[*t.Topic] = info
	}
	return infos, nil
}

// Timestamps with a meaning of their own in ListOffsets.
const (
	atEnd   = -1 // the last stable offset or the high watermark
	atStart = -2
)

// offsetQuery asks the leader of partitions of several topics for an offset.
type offsetQuery struct {
	topic     string
	partition int32
	epoch     int32
	timestamp int64
}

type offsetAnswer struct {
	offset int64
	err    error
}

type partitionKey struct {
	topic     string
	partition int32
}

// listOffsets is one ListOffsets round trip to one broker.
func listOffsets(ctx context.Context, cl *kgo.Client, node int32, uncommitted bool, queries []offsetQuery) (map[partitionKey]offsetAnswer, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.TimeoutMillis = 5000
	if !uncommitted {
		req.IsolationLevel = 1
	}
	index := make(map[string]int)
	for _, q := range queries {
		i, ok := index[q.topic]
		if !ok {
			i = len(req.Topics)
			index[q.topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = q.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.Timestamp = q.partition, q.epoch, q.timestamp
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	res, err := cl.Broker(int(node)).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("listing offsets at broker %d: %w", node, Unreachable(node, err))
	}
	answers := make(map[partitionKey]offsetAnswer, len(queries))
	for _, t := range res.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			answers[partitionKey{t.Topic, p.Partition}] = offsetAnswer{p.Offset, kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return answers, nil
}

// listFromAll asks several brokers at once; what a broker that cannot be reached
// was asked for gets that error as its answer.
func listFromAll(ctx context.Context, cl *kgo.Client, uncommitted bool, byNode map[int32][]offsetQuery) map[partitionKey]offsetAnswer {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := make(map[partitionKey]offsetAnswer)
	for node, queries := range byNode {
		wg.Go(func() {
			answers, err := listOffsets(ctx, cl, node, uncommitted, queries)
			mu.Lock()
			defer mu.Unlock()
			for _, q := range queries {
				key := partitionKey{q.topic, q.partition}
				a, ok := answers[key]
				switch {
				case err != nil:
					a.err = err
				case !ok:
					a.err = kerr.UnknownTopicOrPartition
				}
				all[key] = a
			}
		})
	}
	wg.Wait()
	return all
}

// refused says that nothing listens at an address at all.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
