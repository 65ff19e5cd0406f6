package ranges

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxResponse bounds a response, unless its first batch is larger.
const maxResponse = 96 << 20

// fetchRequest asks one broker for streams, all of whose partitions differ. The
// broker answers at once, data or not: all that was planned is there already.
//
// What bounds the response are the partitions' limits. The request's own must
// never be what cuts a partition short: kfake leaves the aborted transactions out
// of the answer then, and their records would show.
func fetchRequest(streams []*stream, estimates []int32, o *Options) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch = -1, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 0, 0, maxResponse
	if !o.ReadUncommitted {
		req.IsolationLevel = 1
	}
	for i, s := range streams {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.CurrentLeaderEpoch = s.rg.Partition, s.next, s.at.epoch
		p.PartitionMaxBytes = max(1, estimates[i])
		if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != s.id || req.Topics[n-1].Topic != s.rg.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = s.rg.Topic, s.id
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return req
}

// answers returns for each stream of a request its part of the response, nil if
// the broker left it out, and how many bytes of batches all parts have together.
func answers(streams []*stream, resp *kmsg.FetchResponse) (parts []*kmsg.FetchResponseTopicPartition, total int) {
	parts = make([]*kmsg.FetchResponseTopicPartition, len(streams))
	for ti := range resp.Topics {
		t := &resp.Topics[ti]
		for pi := range t.Partitions {
			p := &t.Partitions[pi]
			total += len(p.RecordBatches)
			i := slices.IndexFunc(streams, func(s *stream) bool {
				return s.rg.Partition == p.Partition && (s.id == t.TopicID && s.id != [16]byte{} || s.rg.Topic == t.Topic)
			})
			if i >= 0 && parts[i] == nil {
				parts[i] = p
			}
		}
	}
	return parts, total
}
