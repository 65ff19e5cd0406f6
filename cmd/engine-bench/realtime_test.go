package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
)

// Each query reads what lies in a topic and writes what the suite says.
func TestRealtimeQueries(t *testing.T) {
	broker, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	due := func(n int) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	minute := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	given := []struct {
		key string
		at  time.Duration
	}{{"7", 0}, {"8", time.Second}, {"7", 2 * time.Second}, {"7", time.Minute}}
	want := map[string]map[string]int{
		"stateless":     {"7 AAAAAAAAAAA=": 1, "8 AAAAAAAAAAE=": 1, "7 AAAAAAAAAAI=": 1, "7 AAAAAAAAAAM=": 1},
		"deduplication": {"7 " + due(0): 1, "8 " + due(1): 1},
		"window":        {"7 " + due(0) + "1": 1, "8 " + due(1) + "1": 1, "7 " + due(2) + "2": 1, "7 " + due(3) + "1": 1},
		"state":         {"7 " + due(0): 1, "8 " + due(1): 1, "7 " + due(2): 1, "7 " + due(3): 1},
	}
	for _, q := range realtimeQueries() {
		for _, name := range []string{q.name + "-in", q.name + "-out"} {
			if err := kafka.EnsureTopic(t.Context(), broker.Addrs(), name, 2); err != nil {
				t.Fatal(err)
			}
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.DefaultProduceTopic(q.name+"-in"),
			kgo.ConsumeTopics(q.name+"-out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for n, g := range given {
			r := &kgo.Record{Key: []byte(g.key), Value: []byte(due(n)), Timestamp: minute.Add(g.at)}
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		args := append(streamArgs("local[2]", broker.Addrs()[0]), "--until-end")
		if err := q.run(t.Context(), args, time.Second, q.name, 3); err != nil {
			t.Fatal(err)
		}
		ends, err := kafka.EndOffsets(t.Context(), broker.Addrs(), q.name+"-out")
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int)
		for n, all := int64(0), ends[q.name+"-out"][0]+ends[q.name+"-out"][1]; n < all; {
			cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
				n++
				got[string(r.Key)+" "+string(r.Value)]++
				if _, err := q.due(r.Value); err != nil {
					t.Errorf("%s: %v", q.name, err)
				}
			})
		}
		if !maps.Equal(got, want[q.name]) {
			t.Errorf("%s: %v, want %v", q.name, got, want[q.name])
		}
	}
}

func TestRealtimeTraffic(t *testing.T) {
	for _, c := range []struct {
		name string
		key  func(n int) []byte
		want string
	}{
		{"distinct", distinctKeys, "1 2 3 4 5 6"},
		{"every fifth twice", everyFifthTwice, "1 2 3 4 4 6"},
		{"three keys", keysOf(3), "1 2 0 1 2 0"},
	} {
		var got []string
		for n := 1; n <= 6; n++ {
			got = append(got, string(c.key(n)))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
	at := time.Unix(3, 14)
	value := append(binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())), "more"...)
	if got, err := dueOf(value); err != nil || !got.Equal(at) {
		t.Errorf("due %v, %v", got, err)
	}
	if got, err := dueOfBase64([]byte(base64.StdEncoding.EncodeToString(value))); err != nil || !got.Equal(at) {
		t.Errorf("due %v, %v", got, err)
	}
	for _, bad := range []string{"short", "!!!!", "c2hvcnQ="} {
		if got, err := dueOfBase64([]byte(bad)); err == nil {
			t.Errorf("%q: due %v", bad, got)
		}
	}
}

// A job that comes too late or writes twice is no measurement.
func TestLatencyCount(t *testing.T) {
	l := &latency{rate: 1000, last: 2 * time.Second, traffic: traffic{share: 0.8, late: time.Second}}
	for n, want := range map[int]string{
		1600: "", 1598: "", 1602: "",
		1597: "1597 of 1600 records came back within 1s: the job has a backlog",
		1603: "1603 records came back where 1600 should: the job wrote some twice",
	} {
		if err := l.check(n); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%d records: %v, want %q", n, err, want)
		}
	}
	few := &latency{rate: 1, last: time.Second, traffic: traffic{share: 1}}
	if err := few.check(0); err == nil || err.Error() != "no record that counts came back" {
		t.Errorf("none of one: %v", err)
	}
	if err := few.check(1); err != nil {
		t.Errorf("one of one: %v", err)
	}
}

func TestRealtimeResult(t *testing.T) {
	queries := realtimeQueries()[:2]
	r := newRealtimeResult(&realtime{latency: latency{rate: 1000, partitions: 5}, queries: queries, rounds: 3, durable: true}, "a broker", "")
	for _, g := range []lag{{p50: 3, p99: 9, cpu: 1, rss: 40}, {p50: 1, p99: 7, cpu: 2, rss: 50}, {p50: 2, p99: 8, cpu: 3, rss: 45}} {
		r.Queries[0].add(g)
	}
	r.Queries[0].addSpark(lag{p50: 5.25, p99: 27})
	r.Queries[1].add(lag{p50: 4, p99: 11})
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got, err := r.finish((&progress{ended: 4, kinds: []runKind{{runs: 9}}}).why(ctx, errors.Join(ctx.Err(), ctx.Err())))
	if !errors.Is(err, paper.ErrInterrupted) || got != report(r) {
		t.Fatalf("%v, %v", got, err)
	}
	r.named("realtime")
	var out bytes.Buffer
	r.print(&out)
	for _, line := range []string{
		"realtime at 1000 records/s over 5 partitions, as soon as possible, on local[2], batch log and checkpoints on disk, a broker",
		"PARTIAL, less than was wanted: interrupted after 4 of 9 runs",
		"ms p50 p99 Spark here p50 p99 Spark published p50 p99",
		"stateless 2.00 (1.00-3.00) 8.00 (7.00-9.00) 5.25 27.00 70 85",
		"deduplication 4.00 11.00 - - 99 134",
	} {
		if !slices.ContainsFunc(strings.Split(out.String(), "\n"), func(l string) bool { return strings.Join(strings.Fields(l), " ") == line }) {
			t.Errorf("no line %q in\n%s", line, &out)
		}
	}
	b, err := json.Marshal(r.Queries)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"name":"stateless","p50_ms":{"median":2,"min":1,"max":3,"rounds":[3,1,2]},"p99_ms":{"median":8,"min":7,"max":9,"rounds":[9,7,8]},` +
		`"cpu_seconds":{"median":2,"min":1,"max":3,"rounds":[1,2,3]},"peak_rss_mib":50,` +
		`"spark_p50_ms":{"median":5.25,"min":5.25,"max":5.25,"rounds":[5.25]},"spark_p99_ms":{"median":27,"min":27,"max":27,"rounds":[27]},` +
		`"spark_published_p50_ms":70,"spark_published_p99_ms":85},` +
		`{"name":"deduplication","p50_ms":{"median":4,"min":4,"max":4,"rounds":[4]},"p99_ms":{"median":11,"min":11,"max":11,"rounds":[11]},` +
		`"cpu_seconds":{"median":0,"min":0,"max":0,"rounds":[0]},"peak_rss_mib":0,"spark_published_p50_ms":99,"spark_published_p99_ms":134}]`
	if string(b) != want {
		t.Errorf("%s\nwant\n%s", b, want)
	}
}

// Nothing was measured: there is an error and no report.
func TestRealtimeNothing(t *testing.T) {
	r := newRealtimeResult(&realtime{queries: realtimeQueries()}, "", "")
	failure := fmt.Errorf("no broker")
	if got, err := r.finish(failure); got != nil || err != failure {
		t.Errorf("%v, %v", got, err)
	}
}
