package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// The numbers are those of Spark's maxMessagesPerPartition: a budget is shared by
// lag and capped per partition; the minimum is per batch, below the highest rate.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits          limits
		lags            []int64
		budget, seconds float64
		want            []int64
	}{
		"no budget, no limit":       {limits{minimum: 1}, []int64{5, 0}, 0, 1, []int64{5, 0}},
		"no lag, nothing to limit":  {limits{maxRate: 1, minimum: 1}, []int64{0, 0}, 10, 1, []int64{0, 0}},
		"shared by lag":             {limits{minimum: 1}, []int64{100, 300}, 40, 1, []int64{10, 30}},
		"capped per partition":      {limits{maxRate: 20, minimum: 1}, []int64{100, 300}, 40, 1, []int64{10, 20}},
		"the cap alone":             {limits{maxRate: 20, minimum: 1}, []int64{100, 10}, 0, 2, []int64{40, 10}},
		"the minimum is a batch's":  {limits{minimum: 3}, []int64{100, 300}, 1, 0.01, []int64{3, 3}},
		"the cap over the minimum":  {limits{maxRate: 100, minimum: 50}, []int64{100, 300}, 1, 0.1, []int64{10, 10}},
		"the cap without a minimum": {limits{maxRate: 100}, []int64{100, 300}, 0, 0.1, []int64{10, 10}},
		"less than the limit":       {limits{minimum: 1}, []int64{2, 2}, 1000, 1, []int64{2, 2}},
	} {
		rs := lagging(c.lags...)
		c.limits.apply(rs, c.budget, c.seconds, map[topicPartition]float64{})
		for i, r := range rs {
			if r.From != 50 || r.Len() != c.want[i] {
				t.Errorf("%s: partition %d gets %d, want %d", name, i, r.Len(), c.want[i])
			}
		}
	}
}

// A job that waits for a partition to reach to where it begins says that this is where it goes on.
func TestPositionsOfAwaitedPartitions(t *testing.T) {
	b, err := encodeRanges([]ranges.Range{{Topic: "t", From: 2, Until: 5}, {Topic: "t", Partition: 1, From: 7, Until: 5}}, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := new(direct[string]).Positions(b)
	if want := []engine.Position{{Source: "t", Next: 5}, {Source: "t", Partition: 1, Next: 7}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// A range that runs backwards, as its partition doesn't reach yet to where the job begins, stays so.
func TestLimitsLeaveRangesBackwards(t *testing.T) {
	for _, l := range []limits{{maxRate: 20}, {maxRate: 20, minimum: 1}, {minimum: 1}} {
		rs := append(lagging(100), ranges.Range{Topic: "t", Partition: 1, From: 70, Until: 50})
		credit := map[topicPartition]float64{{"t", 1}: 0.5}
		l.apply(rs, 10, 1, credit)
		if rs[0].Len() == 100 || rs[1].From != 70 || rs[1].Until != 50 || credit[topicPartition{"t", 1}] != 0.5 {
			t.Errorf("%+v: %v, %v", l, rs, credit)
		}
	}
}

// lagging returns ranges of a topic's partitions that hold so many records.
func lagging(lags ...int64) []ranges.Range {
	rs := make([]ranges.Range, len(lags))
	for i, lag := range lags {
		rs[i] = ranges.Range{Topic: "t", Partition: int32(i), From: 50, Until: 50 + lag}
	}
	return rs
}

// Fractions of records are carried over: what is less than a record a batch is a
// record in some of them, in each partition.
func TestLimitsCarryFractions(t *testing.T) {
	for name, c := range map[string]struct {
		limits          limits
		budget, seconds float64
		want            int64 // records of each of two partitions in 100 batches
	}{
		"the highest rate, 0.2 a batch":           {limits{maxRate: 2, minimum: 1}, 0, 0.1, 20},
		"the same without a minimum":              {limits{maxRate: 2}, 0, 0.1, 20},
		"the highest rate, 1.5 a batch":           {limits{maxRate: 15, minimum: 1}, 1000, 0.1, 150},
		"a budget of 0.5, no minimum":             {limits{}, 0.5, 0.1, 25},
		"a budget of 0.5, below the highest rate": {limits{maxRate: 1000}, 0.5, 0.1, 25},
		"a budget of 0.5, a minimum of 1":         {limits{minimum: 1}, 0.5, 0.1, 100},
	} {
		credit := map[topicPartition]float64{}
		var got [2]int64
		for range 100 {
			rs := lagging(1000, 1000)
			c.limits.apply(rs, c.budget, c.seconds, credit)
			for i, r := range rs {
				got[i] += r.Len()
			}
		}
		if got != [2]int64{c.want, c.want} {
			t.Errorf("%s: %v, want %d each", name, got, c.want)
		}
	}
}

// What a topic that is gone was owed isn't remembered.
func TestLeaveForgetsCredit(t *testing.T) {
	a, b := topicPartition{"a", 0}, topicPartition{"b", 0}
	p := &planner{log: slog.New(slog.DiscardHandler), credit: map[topicPartition]float64{a: 0.5, b: 0.5}}
	p.leave(map[topicPartition]ranges.Range{a: {Topic: "a"}})
	if _, kept := p.credit[a]; kept || p.credit[b] != 0.5 {
		t.Errorf("%v", p.credit)
	}
}

func TestNextRanges(t *testing.T) {
	part := func(p int32, start, until int64) ranges.Partition {
		return ranges.Partition{Topic: "t", TopicID: [16]byte{1}, Partition: p, Start: start, Until: until}
	}
	parts := []ranges.Partition{part(0, 10, 100), part(1, 0, 50)}
	previous := []ranges.Range{{Topic: "t", TopicID: [16]byte{1}, Partition: 0, From: 20, Until: 60}}
	for name, c := range map[string]struct {
		start    Position
		parts    []ranges.Partition
		previous []ranges.Range
		want     string
		err      error
	}{
		"earliest":                   {Earliest(), parts, nil, "[t/0 [10,100) t/1 [0,50)]", nil},
		"latest":                     {Latest(), parts, nil, "[t/0 [100,100) t/1 [50,50)]", nil},
		"offsets":                    {AtOffsets(map[string]map[int32]int64{"t": {0: 30}}), parts, nil, "[t/0 [30,100) t/1 [0,50)]", nil},
		"goes on, a partition joins": {Latest(), parts, previous, "[t/0 [60,100) t/1 [0,50)]", nil},
		"beyond the end":             {AtOffsets(map[string]map[int32]int64{"t": {0: 150}}), parts, nil, "[t/0 [150,100) t/1 [0,50)]", nil},
		"still beyond the end": {Earliest(), parts, []ranges.Range{{Topic: "t", TopicID: [16]byte{1}, Partition: 0, From: 150, Until: 90},
			{Topic: "t", TopicID: [16]byte{1}, Partition: 1, Until: 50}}, "[t/0 [150,100) t/1 [50,50)]", nil},
		"the start is reached": {Earliest(), parts, []ranges.Range{{Topic: "t", TopicID: [16]byte{1}, Partition: 0, From: 95, Until: 90},
			{Topic: "t", TopicID: [16]byte{1}, Partition: 1, Until: 50}}, "[t/0 [95,100) t/1 [50,50)]", nil},
		"a topic made again": {Earliest(), parts, []ranges.Range{{Topic: "t", TopicID: [16]byte{2}, Partition: 0, Until: 5}}, "",
			ranges.ErrTopicRecreated},
		"a partition that is gone": {Earliest(), parts[1:], previous, "", ranges.ErrUnknownPartition},
	} {
		first, err := c.start.resolve(t.Context(), c.parts, producers{})
		if err != nil {
			t.Fatal(err)
		}
		p := &planner{brokers: "b:1", first: first}
		got, err := p.next(c.parts, c.previous)
		if err != nil && !strings.Contains(err.Error(), " at b:1: ") {
			t.Errorf("%s: it doesn't say where: %v", name, err)
		}
		if !errors.Is(err, c.err) || (err == nil && fmt.Sprint(got) != c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	first, err := Earliest().resolve(t.Context(), parts, producers{})
	if err != nil {
		t.Fatal(err)
	}
	p := &planner{first: first}
	var end *ranges.EndError
	if _, err := p.next(parts, []ranges.Range{{Topic: "t", TopicID: [16]byte{1}, Partition: 0, Until: 500}}); !errors.As(err, &end) ||
		!strings.HasPrefix(err.Error(), "topic t partition 0 can be read up to offset 100 only, and it had reached 500: the end of its log is lost") {
		t.Errorf("a log that was cut: %v", err)
	}
}

func TestRangesRoundTrip(t *testing.T) {
	want := []ranges.Range{
		{Topic: "a", TopicID: [16]byte{1}, Partition: 0, LeaderEpoch: 3, From: 1, Until: 9},
		{Topic: "a", TopicID: [16]byte{1}, Partition: 1, LeaderEpoch: -1},
		{Topic: "b", TopicID: [16]byte{2}, Partition: 0, From: 1 << 40, Until: 1 << 41},
	}
	b, err := encodeRanges(want, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeRanges(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzDecodeRanges(f *testing.F) {
	b, _ := encodeRanges([]ranges.Range{{Topic: "a", Until: 9}}, false)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if rs, err := decodeRanges(b); err == nil && len(b) == 0 && len(rs) > 0 {
			t.Error("ranges out of nothing")
		}
	})
}

func TestParseBrokers(t *testing.T) {
	for list, ok := range map[string]bool{"a:1": true, "a:1, b:2": true, "a": false, "": false, "a:1,": false, "[::1]:9": true,
		"a:65535": true, "a:65536": false, "127.0.0.1:99999": false, "a:0": false, "a:-1": false, "a:+1": false, "a:kafka": false, "a:": false} {
		if _, err := parseBrokers(list); (err == nil) != ok {
			t.Errorf("%q: %v", list, err)
		}
	}
}

// An address that can't be one is a wrong flag, said once and before anything is
// connected.
func TestWrongBrokers(t *testing.T) {
	err := engine.NewApp("test").Run(t.Context(), []string{"--brokers", "127.0.0.1:99999", "--log-level", "error"}, time.Second, func(ssc *engine.StreamingContext) error {
		Sink(Direct(ssc, Subscribe("in"), StringValue), "out", String)
		return nil
	})
	if says := `--brokers: "127.0.0.1:99999" is not HOST:PORT, with a port from 1 to 65535`; !errors.Is(err, engine.ErrUsage) || strings.Count(err.Error(), says) != 1 {
		t.Errorf("%v\nwant %s", err, says)
	}
}

// Where partitions without records would cost tasks they make none, but one at least:
// that is said in the ranges, so that every process comes to the same.
func TestSparseRangesMakeFewerPartitions(t *testing.T) {
	for name, c := range map[string]struct {
		lags   []int64
		sparse bool
		want   []int32
	}{
		"all of them":        {[]int64{1, 0, 2}, false, []int32{0, 1, 2}},
		"those with records": {[]int64{0, 1, 0, 2}, true, []int32{1, 3}},
		"none has any":       {[]int64{0, 0}, true, []int32{0}},
	} {
		rs := lagging(c.lags...)
		b, err := encodeRanges(rs, c.sparse)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := decodePlan(b)
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, p := range plan.partitions {
			got = append(got, p.Partition)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if len(plan.all) != len(rs) {
			t.Errorf("%s: the next batch follows %d ranges of %d", name, len(plan.all), len(rs))
		}
	}
	if plan, err := decodePlan(nil); err != nil || len(plan.partitions) != 0 {
		t.Errorf("nothing is %v, %v", plan, err)
	}
}
