package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Bad records that are left out are said in the log: the first at once, then every
// 30 s how many and the last one, and at the end what was not said yet.
func TestBadRecordsAreLogged(t *testing.T) {
	for name, c := range map[string]struct {
		policy BadRecords
		suffix string
	}{
		"skip":        {Skip(), ""},
		"dead letter": {DeadLetter("dead"), " dead_letter_topic=dead"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.Virtual(t, kfake.SeedTopics(1, "dead"))
				var log bytes.Buffer
				to := producers{b.Addrs, &b.Opts, slog.New(slog.NewTextHandler(&log, nil))}
				process := &task.Process{}
				bad := func(offset int64) {
					tc := &task.Context{Context: t.Context(), Process: process}
					r := badRecord{&Record{Topic: "in", Partition: 2, Offset: offset}, 1, fmt.Errorf("no number: %d", offset), true}
					if err := c.policy.handle(tc, to, r); err != nil || tc.Metrics.BadRecords != 1 {
						t.Errorf("%d counted, %v", tc.Metrics.BadRecords, err)
					}
				}
				for i := range int64(12) {
					bad(i)
				}
				time.Sleep(remindAfter)
				bad(12)
				bad(13)
				if err := process.Close(); err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, line := range []struct{ records, offset int }{{1, 0}, {12, 12}, {1, 13}} {
					want = append(want, fmt.Sprintf("level=WARN msg=\"kafka: bad records are left out; the last of them is named\" records=%d topic=in partition=2 offset=%d reason=\"no number: %d\"%s\n",
						line.records, line.offset, line.offset, c.suffix))
				}
				var got []string
				for line := range strings.Lines(log.String()) {
					_, line, _ = strings.Cut(line, " ") // the time
					got = append(got, line)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s\nwant %s", &log, strings.Join(want, ""))
				}
			})
		})
	}
}

// What a range has lost to a deletion is left out if the stream says so: counted, told and
// passed over.
func TestLostIsToldAndPassedOver(t *testing.T) {
	r := ranges.Range{Topic: "in", Partition: 2, From: 10, Until: 20}
	for name, c := range map[string]struct {
		options directOptions
		err     error
		from    int64 // where the range goes on, 0 for not at all
		lost    int64
		says    string
	}{
		"retention":                 {directOptions{skipLost: true}, &ranges.LostError{Topic: "in", Partition: 2, Next: 12, Start: 15}, 15, 3, "records=3 topic=in partition=2 offset=12"},
		"retention, all of it":      {directOptions{skipLost: true}, &ranges.LostError{Topic: "in", Partition: 2, Next: 10, Start: 99}, 20, 10, "records=10 topic=in partition=2 offset=10"},
		"retention isn't to matter": {directOptions{forget: true}, &ranges.LostError{Next: 12, Start: 15}, 0, 0, ""},
		"a deleted topic":           {directOptions{forget: true}, &ranges.TopicError{Topic: "in", Partition: 2, Offset: 14, Err: ranges.ErrUnknownTopic}, 20, 6, "records=6 topic=in partition=2 offset=14"},
		"one made again":            {directOptions{forget: true}, &ranges.TopicError{Topic: "in", Partition: 2, Offset: 10, Err: ranges.ErrTopicRecreated}, 20, 10, "records=10 topic=in partition=2 offset=10"},
		"deletion isn't to matter":  {directOptions{skipLost: true}, &ranges.TopicError{Offset: 14, Err: ranges.ErrUnknownTopic}, 0, 0, ""},
		"another error":             {directOptions{skipLost: true, forget: true}, errors.New("other"), 0, 0, ""},
	} {
		var log bytes.Buffer
		d := &direct[string]{options: c.options, log: slog.New(slog.NewTextHandler(&log, nil))}
		tc := &task.Context{Context: t.Context(), Process: &task.Process{}}
		from, ok := d.lost(tc, r, c.err)
		if from != c.from || ok != (c.from > 0) || tc.Metrics.BadRecords != c.lost || !strings.Contains(log.String(), c.says) || ok != (log.Len() > 0) {
			t.Errorf("%s: from %d, %t, %d lost, want from %d, %d lost\n%s", name, from, ok, tc.Metrics.BadRecords, c.from, c.lost, &log)
		}
		if err := tc.Process.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What a stream can be given against lost records a range can't.
func TestLostIsAdvisedOn(t *testing.T) {
	lost := &ranges.LostError{Topic: "in", Next: 12, Start: 15}
	for ranged, advised := range map[bool]bool{false: true, true: false} {
		err := (&direct[string]{ranged: ranged}).advised(lost)
		if !errors.Is(err, lost) || strings.Contains(err.Error(), "kafka.SkipLost") != advised {
			t.Errorf("of a range %t: %v", ranged, err)
		}
	}
}

// Each range counts its own records of a batch that is too large, and one of them
// writes the letter.
func TestBadBatchInRanges(t *testing.T) {
	large := &ranges.CorruptError{Topic: "in", Offset: 10, After: 20, Records: 10}
	compacted := &ranges.CorruptError{Topic: "in", Offset: 10, After: 20, Records: 3}
	for _, c := range []struct {
		batch       *ranges.CorruptError
		from, until int64
		records     int64
		letter      bool
	}{
		{large, 0, 30, 10, true},
		{large, 10, 20, 10, true},
		{large, 0, 14, 4, false},
		{large, 14, 17, 3, false},
		{large, 17, 30, 3, true}, // also the first of a job that begins here
		{large, 0, 10, 0, false},
		{compacted, 0, 30, 3, true},
		{compacted, 0, 12, 2, false},
	} {
		b := ofBatch(c.batch, ranges.Range{From: c.from, Until: c.until})
		if b.records != c.records || b.letter != c.letter || b.Offset != 10 || !errors.Is(b.cause, c.batch) {
			t.Errorf("[%d,%d): %d records, a letter: %v; want %d, %v", c.from, c.until, b.records, b.letter, c.records, c.letter)
		}
	}
}

// A batch that is too large and straddles ranges is counted once in all, and one
// letter is written about it.
func TestBadBatchStraddlesRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in", "dead"))
		var batch []*kgo.Record
		for range 10 {
			batch = append(batch, kgo.StringRecord(strings.Repeat("x", 500)))
		}
		b.Produce(t, "in", nil, kgo.StringRecord("first"))
		b.Produce(t, "in", []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, batch...)
		b.Produce(t, "in", nil, kgo.StringRecord("last"))
		d := &direct[string]{topics: Subscribe("in"), brokers: b.Addrs, client: &b.Opts, decode: StringValue, settings: settings{maxBatch: 2000},
			options: directOptions{bad: DeadLetter("dead")}, log: slog.New(slog.DiscardHandler)}
		process := &task.Process{}
		defer func() { _ = process.Close() }()
		var got []string
		var counted []int64
		for _, r := range [][2]int64{{0, 4}, {4, 7}, {7, 12}} {
			tc := &task.Context{Context: t.Context(), Process: process}
			for v, err := range d.read(tc, ranges.Range{Topic: "in", LeaderEpoch: -1, From: r[0], Until: r[1]}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			counted = append(counted, tc.Metrics.BadRecords)
		}
		if !slices.Equal(got, []string{"first", "last"}) || !slices.Equal(counted, []int64{3, 3, 4}) {
			t.Errorf("read %q, counted %v", got, counted)
		}
		if ends, err := EndOffsetsWith(t.Context(), b.Addrs, b.Opts, "dead"); err != nil || ends["dead"][0] != 1 {
			t.Errorf("letters: %v, %v", ends, err)
		}
	})
}
