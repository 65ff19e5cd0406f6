package ranges

import "testing"

// What polls have found is known after a plan that was made without it, of the partitions that
// the same leader leads, whatever others came or went. Of those that a poll wasn't asked for its
// answer says nothing, and neither does its failure.
func TestWatcherOutlastsPlans(t *testing.T) {
	told := 0
	w := &watcher{tail: &tail{ready: func() { told++ }}, wake: make(chan struct{}, 1)}
	part := func(n, epoch int32, end int64) watched {
		return watched{topic: "t", partition: n, epoch: epoch, end: end, grown: end}
	}
	ends := func(of ...int64) map[partitionKey]int64 { // by partition, from 1 on
		m := make(map[partitionKey]int64)
		for i, end := range of {
			m[partitionKey{"t", int32(i + 1)}] = end
		}
		return m
	}
	w.watch([]watched{part(1, 5, 10), part(2, 5, 10)})
	asked := w.due()
	if grown, failed := w.learn(asked, ends(12, 13), true, nil); !grown || failed {
		t.Errorf("both have grown: %v, failed: %v", grown, failed)
	}
	w.watch([]watched{part(0, 5, 7), part(1, 5, 10), part(2, 6, 10)})
	if got := w.parts; got[0].grown != 7 || got[1].grown != 12 || got[2].grown != 10 || told != 1 {
		t.Errorf("%+v, told %d times", got, told)
	}
	if grown, failed := w.learn(asked, ends(12), true, nil); grown || failed {
		t.Errorf("an answer without what another leader leads: grown %v, failed %v", grown, failed)
	}
	if grown, failed := w.learn([]watched{part(2, 5, 10)}, nil, false, errNoLeader); grown || failed {
		t.Errorf("a poll of what another leader leads fails: grown %v, failed %v", grown, failed)
	}
	if grown, failed := w.learn(w.parts, ends(12, 10), true, nil); grown || !failed {
		t.Errorf("an answer without a partition: grown %v, failed %v", grown, failed)
	}
}
