package kafka

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// mirrors starts a mirror to group lag, and returns what it has said so far.
func mirrors(t *testing.T, b *kafkatest.Broker) (m *mirror, said func() string) {
	t.Helper()
	var log bytes.Buffer
	m, err := newMirror("lag", producers{b.Addrs, &b.Opts, slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m, func() string {
		synctest.Wait() // it has nothing to do now
		return log.String()
	}
}

// complete makes a batch until an offset complete, and lets the mirror commit it.
func complete(m *mirror, until int64) {
	m.complete([]ranges.Range{{Topic: "in", Until: until}, {Topic: "in", Partition: 1, From: 9, Until: 3}})
	time.Sleep(2 * mirrorPause)
}

// A group that can't be told doesn't hold up the stream: that is said once, and once that it can be again.
func TestMirrorSaysOnceThatItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
		var away atomic.Bool
		b.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			if away.Load() {
				return nil, errors.New("the broker hangs up"), true
			}
			return nil, nil, false
		})
		m, said := mirrors(t, b)
		complete(m, 1)
		if s := said(); s != "" {
			t.Error(s)
		}
		away.Store(true)
		began := time.Now()
		for until := range int64(5) {
			m.complete([]ranges.Range{{Topic: "in", Until: 2 + until}})
			time.Sleep(4 * time.Second)
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("five batches were held up for %s", took-20*time.Second)
		}
		if s := said(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "level=WARN") || !strings.Contains(s, "the stream goes on") || !strings.Contains(s, "group=lag") {
			t.Errorf("while it fails: %s", s)
		}
		away.Store(false)
		time.Sleep(mirrorTimeout)
		complete(m, 7)
		if s := said(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "level=INFO") {
			t.Errorf("in the end: %s", s)
		}
		m.close()
		offsets, err := b.Admin().FetchOffsets(t.Context(), "lag")
		if o, _ := offsets.Lookup("in", 0); err != nil || o.At != 7 {
			t.Errorf("committed %d, %v", o.At, err)
		}
		if o, ok := offsets.Lookup("in", 1); ok && o.At >= 0 {
			t.Errorf("of a partition that isn't read yet %d is committed", o.At)
		}
	})
}

// Only members commit to a group that has some: the log says what to do.
func TestMirrorOfAGroupInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
		b.Produce(t, "in", nil, kgo.StringRecord("a"))
		member := b.Client(t, kgo.ConsumerGroup("lag"), kgo.ConsumeTopics("in"))
		if err := member.PollFetches(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		m, said := mirrors(t, b)
		complete(m, 1)
		if s := said(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "somebody consumes with the group: give kafka.MirrorOffsets one of its own") {
			t.Error(s)
		}
		m.close()
		member.Close()
	})
}

// The last offsets are tried once more when the stream ends, also those of a commit that has failed, and
// the log has them if that fails, too.
func TestMirrorTriesAtTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		back  bool
		says  string
		lines int
	}{
		"the broker is back":    {true, "", 1},
		"the broker stays away": {false, "offsets=in/0:5 ", 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
			var away atomic.Bool
			away.Store(true)
			b.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				b.Fake.KeepControl()
				return nil, errors.New("the broker hangs up"), away.Load()
			})
			m, said := mirrors(t, b)
			complete(m, 5)
			time.Sleep(mirrorTimeout)
			away.Store(!c.back)
			began := time.Now()
			if m.close(); time.Since(began) > mirrorTimeout {
				t.Errorf("%s: it took %s", name, time.Since(began))
			}
			if s := said(); strings.Count(s, "\n") != c.lines || !strings.Contains(s, c.says) {
				t.Errorf("%s: %s", name, s)
			}
			offsets, err := b.Admin().FetchOffsets(t.Context(), "lag")
			if o, ok := offsets.Lookup("in", 0); (err == nil && ok && o.At == 5) != c.back {
				t.Errorf("%s: committed %d, %v", name, o.At, err)
			}
		})
	}
}

// A broker that is away holds up the end of a stream for a moment only.
func TestMirrorEndsWithoutABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
		b.HangUp(kmsg.FindCoordinator)
		m, _ := mirrors(t, b)
		m.complete([]ranges.Range{{Topic: "in", Until: 1}})
		began := time.Now()
		if m.close(); time.Since(began) > mirrorTimeout {
			t.Errorf("it took %s", time.Since(began))
		}
	})
}
