package embedded_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o embedded.Options) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func client(t *testing.T, b *embedded.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addrs()...), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func TestListensOnLoopbackOnly(t *testing.T) {
	b := start(t, embedded.Options{Topics: []embedded.Topic{{Name: "images", Partitions: 4}}})
	for _, addr := range b.Addrs() {
		host, port, err := net.SplitHostPort(addr)
		if err != nil || !net.ParseIP(host).IsLoopback() || port != fmt.Sprint(b.Port()) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	details, err := kadm.NewClient(client(t, b)).ListTopics(t.Context(), "images")
	if err != nil || len(details["images"].Partitions) != 4 {
		t.Fatal(details, err)
	}
	if _, err := embedded.Start(embedded.Options{Port: b.Port()}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(b.Port())) {
		t.Errorf("port taken: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []embedded.Options{
		{Port: -1},
		{Port: 70000},
		{RetentionBytes: -1},
		{Topics: []embedded.Topic{{Name: "images"}}},
		{Topics: []embedded.Topic{{Partitions: 1}}},
		{Network: new(kfake.VirtualNetwork)},
	} {
		if b, err := embedded.Start(o); err == nil {
			b.Close()
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestCreateTopic(t *testing.T) {
	b := start(t, embedded.Options{})
	for range 2 {
		if err := b.CreateTopic(t.Context(), embedded.Topic{Name: "digits", Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.CreateTopic(t.Context(), embedded.Topic{Name: "digits", Partitions: 3}); err == nil || !strings.Contains(err.Error(), "2 partitions") {
		t.Errorf("other partitions: %v", err)
	}
}

// starts and ends of partition 0.
func bounds(t *testing.T, cl *kgo.Client, topic string) (start, end int64) {
	t.Helper()
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := starts.Lookup(topic, 0)
	e, _ := ends.Lookup(topic, 0)
	return s.Offset, e.Offset
}

// TestMemoryStaysFlat produces 400 MB, a megabyte at a time, in two hours of
// virtual time. The heap stays within what the retention allows, and the log
// keeps its last records.
func TestMemoryStaysFlat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention, megabytes = 8 << 20, 400
		network := new(kfake.VirtualNetwork)
		b := start(t, embedded.Options{
			Topics: []embedded.Topic{{Name: "images", Partitions: 1}}, Port: 9092,
			RetentionBytes: retention, Network: network,
		})
		cl := client(t, b, kgo.DefaultProduceTopic("images"), kgo.Dialer(network.DialContext), kgo.ProducerBatchCompression(kgo.NoCompression()))
		value := make([]byte, 1000)
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		base := heap()
		for mb := range megabytes {
			for range 1000 {
				cl.Produce(t.Context(), &kgo.Record{Value: value}, nil)
			}
			if err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(18 * time.Second)
			if mb%50 != 49 {
				continue
			}
			start, end := bounds(t, cl, "images")
			if kept := end - start; kept > retention/1000 || kept < retention/1000/2 {
				t.Fatalf("after %d MB the log is [%d,%d)", mb+1, start, end)
			}
			// A segment's buffer grows by doubling up to its size.
			if used := heap() - base; used > 3*retention {
				t.Fatalf("after %d MB the heap has grown by %d", mb+1, used)
			}
		}
	})
}

func TestRetentionAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(kfake.VirtualNetwork)
		b := start(t, embedded.Options{Topics: []embedded.Topic{{Name: "images", Partitions: 1}}, Port: 9092, RetentionAge: time.Minute, Network: network})
		cl := client(t, b, kgo.DefaultProduceTopic("images"), kgo.Dialer(network.DialContext))
		for range 5 {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(25 * time.Second)
		}
		if start, end := bounds(t, cl, "images"); start != 3 || end != 5 {
			t.Fatalf("the log is [%d,%d), want [3,5)", start, end)
		}
	})
}

func TestTrim(t *testing.T) {
	b := start(t, embedded.Options{Topics: []embedded.Topic{{Name: "images", Partitions: 2}}})
	cl := client(t, b, kgo.DefaultProduceTopic("images"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range 10 {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ offset, start int64 }{{4, 4}, {2, 4}, {0, 4}, {10, 10}} {
		if err := b.Trim(t.Context(), "images", map[int32]int64{0: c.offset, 1: 0}); err != nil {
			t.Fatal(err)
		}
		if start, end := bounds(t, cl, "images"); start != c.start || end != 10 {
			t.Errorf("trimmed to %d: [%d,%d), want from %d", c.offset, start, end, c.start)
		}
	}
	for topic, partition := range map[string]int32{"images": 7, "nothing": 0} {
		if err := b.Trim(t.Context(), topic, map[int32]int64{partition: 1}); err == nil {
			t.Errorf("%s/%d: no error", topic, partition)
		}
	}
}

func ExampleStart() {
	broker, err := embedded.Start(embedded.Options{Topics: []embedded.Topic{{Name: "greetings", Partitions: 1}}})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.DefaultProduceTopic("greetings"), kgo.ConsumeTopics("greetings"))
	if err != nil {
		log.Fatal(err)
	}
	defer cl.Close()
	ctx := context.Background()
	if err := cl.ProduceSync(ctx, kgo.StringRecord("hello")).FirstErr(); err != nil {
		log.Fatal(err)
	}
	for _, rec := range cl.PollFetches(ctx).Records() {
		fmt.Println(string(rec.Value))
	}
	// Output: hello
}
