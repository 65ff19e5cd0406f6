package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/disk/disktest"
)

// fixed is a system whose figures are given, round for round; an error ends them.
func fixed(name string, mayFail bool, rounds ...[]float64) system {
	return system{name, mayFail, 0, func(context.Context) ([]float64, error) {
		if len(rounds) == 0 {
			return nil, errors.New("it broke\nwith a trace")
		}
		got := rounds[0]
		rounds = rounds[1:]
		return got, nil
	}}
}

// Figures of a round are compared within it, and what fails is left out from then on.
func TestCompare(t *testing.T) {
	c := &comparing{rounds: 3, result: &compareResult{Machine: "two cores", Brokers: "a broker", Records: 10, Rounds: 3}}
	err := c.runAll(t.Context(), []contest{
		{"count", []string{figureRate}, []system{
			fixed("Hibana", false, []float64{8e6}, []float64{6e6}, []float64{7e6}),
			fixed("bare franz-go", false, []float64{4e6}, []float64{6e6}, []float64{5e6}),
			fixed("Spark Streaming", true, []float64{1e6}),
		}},
		{"copy at 10/s", []string{figureP50, figureP99}, []system{
			fixed("Hibana", false, []float64{2, 8}, []float64{3, 9}, []float64{4, 10}),
			fixed("bare franz-go", false, []float64{1, 4}, []float64{1, 3}, []float64{1, 5}),
			fixed("Kafka Streams", true, []float64{4, 16}, []float64{6, 27}, []float64{5, 40}),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "two cores; a broker; medians of 3 rounds in turn, with the least and the most. " +
		"In `count` each system reads 10 lines of a topic twice in one process, and the second time counts: its clock runs from the start of the stream until all is counted, on a JVM that has warmed up. " +
		"The engine's interval is 20 ms, Spark's 200 ms; the loop shares the engine's process. " +
		"In `copy` all run for a while before what counts, on the JVM for 30 s at least, each in a process of its own; the engine runs at local[2] with its log in memory.\n\n" +
		`| Work | Figure | Hibana | Beside it | Theirs | Hibana's by theirs |
|---|---|---|---|---|---|
| count | records/s | 7.00M (6.00M-8.00M) | bare franz-go | 5.00M (4.00M-6.00M) | 1.40 (1.00-2.00) |
| count | records/s | 8.00M | Spark Streaming (rounds: 1) | 1.00M | 8.00 |
| copy at 10/s | p50 ms | 3.0 (2.0-4.0) | bare franz-go | 1.0 (1.0-1.0) | 3.00 (2.00-4.00) |
| copy at 10/s | p50 ms | 3.0 (2.0-4.0) | Kafka Streams | 5.0 (4.0-6.0) | 0.50 (0.50-0.80) |
| copy at 10/s | p99 ms | 9.0 (8.0-10.0) | bare franz-go | 4.0 (3.0-5.0) | 2.00 (2.00-3.00) |
| copy at 10/s | p99 ms | 9.0 (8.0-10.0) | Kafka Streams | 27.0 (16.0-40.0) | 0.33 (0.25-0.50) |

- not measured: count on Spark Streaming: it broke
`
	if got := c.result.table(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if m := strings.Join(c.result.Missing, "\n"); m != "count on Spark Streaming: it broke\nwith a trace" {
		t.Errorf("missing: %s", m)
	}
	var out bytes.Buffer
	c.result.print(&out)
	if got := out.String(); got != want {
		t.Errorf("%s", got)
	}
}

// The table says what it can of one round.
func TestCompareOnce(t *testing.T) {
	if got := (&compareResult{Machine: "two cores", Brokers: "a broker", Rounds: 1}).table(); !strings.HasPrefix(got, "two cores; a broker; one round, which has no spread.\n\n") {
		t.Error(got)
	}
}

// Of what wasn't measured the table says nothing but that.
func TestCompareNotes(t *testing.T) {
	const loop = "In `count` and `wordcount` each system reads 10 lines of a topic twice in one process, and the second time counts: its clock runs from the start of the stream until all is counted. " +
		"The engine's interval is 20 ms; the loop shares the engine's process."
	const copies = "In `copy` all run for a while before what counts, on the JVM for 30 s at least, each in a process of its own; " +
		"Spark runs at local[8], as it demands a slot for each partition, encodes values in base64 and keeps its offsets on disk; the engine runs at local[2] with its log in memory."
	for _, c := range []struct {
		rows []compareRow
		want string
	}{
		{nil, ""},
		{[]compareRow{{Work: workWordCount, System: bareLoop}, {Work: workCount, System: bareLoop}}, loop},
		{[]compareRow{{Work: "copy at 10/s", System: bareLoop}, {Work: "copy at 10/s", System: sparkRealtime}}, copies},
		{[]compareRow{{Work: "copy at 10/s", System: bareLoop}}, "In `copy` all run for a while before what counts, each in a process of its own; the engine runs at local[2] with its log in memory."},
	} {
		if got := (&compareResult{Records: 10, Rows: c.rows}).notes(); got != c.want {
			t.Errorf("%v: %s\nwant %s", c.rows, got, c.want)
		}
	}
}

// A slow system's rate isn't 0.
func TestRates(t *testing.T) {
	for v, want := range map[float64]string{4321: "4.32k", 812_000: "812k", 999_960: "1.00M", 6_543_000: "6.54M"} {
		if got := figureText(figureRate, v); got != want {
			t.Errorf("%g/s is %s, want %s", v, got, want)
		}
	}
}

// What was measured before the engine or franz-go failed is kept, and marked.
func TestComparePartial(t *testing.T) {
	c := &comparing{rounds: 2, result: &compareResult{Rounds: 2}}
	err := c.runAll(t.Context(), []contest{{"count", []string{figureRate}, []system{
		fixed("Hibana", false, []float64{8}), fixed("bare franz-go", false, []float64{4}, []float64{4}),
	}}})
	r, err := c.finish(err)
	if err == nil || r == nil || !errors.As(err, new(partialError)) {
		t.Fatalf("%v, %v", r, err)
	}
	var out bytes.Buffer
	r.print(&out)
	if !strings.HasPrefix(out.String(), "PARTIAL, less than was wanted: count on Hibana: it broke\nwith a trace\n") {
		t.Error(out.String())
	}
}

// An interrupt is told as such, with how many runs there were; what there is is marked, in
// JSON too, and what has no round is among what isn't measured.
func TestCompareInterrupted(t *testing.T) {
	for before, want := range map[int]string{
		0: `"rows":[],"missing":["count beside bare franz-go, Kafka Streams: the runs ended before","copy at 10/s beside bare franz-go: the runs ended before"],` +
			`"partial":"interrupted after 1 of 10 runs"}`,
		1: `"ratio":{"median":2,"min":2,"max":2,"rounds":[2]}}],"missing":["count beside Kafka Streams: the runs ended before","copy at 10/s beside bare franz-go: the runs ended before"],` +
			`"partial":"interrupted after 2 of 10 runs"}`,
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		stopped := fixed("Kafka Streams", true)
		stopped.measure = func(ctx context.Context) ([]float64, error) { interrupt(); return nil, ctx.Err() }
		systems := []system{fixed("Hibana", false, []float64{8}, []float64{8}), fixed("bare franz-go", false, []float64{4}, []float64{4}), stopped}
		if before == 0 {
			systems[1].measure = stopped.measure
		}
		c := &comparing{rounds: 2, result: &compareResult{Rounds: 2, Rows: []compareRow{}}}
		r, err := c.finish(c.runAll(ctx, []contest{
			{"count", []string{figureRate}, systems},
			{"copy at 10/s", []string{figureP50}, []system{fixed("Hibana", false, []float64{2}), fixed("bare franz-go", false, []float64{1})}},
		}))
		if said := fmt.Sprintf("interrupted after %d of 10 runs", before+1); !errors.As(err, new(partialError)) || err.Error() != said {
			t.Fatalf("%v, want %s", err, said)
		}
		if got, err := json.Marshal(r); err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// A program that runs for too long is ended, and the error says why.
func TestLastLineLate(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errDrain)
	defer cancel()
	err := lastLine(ctx, new(int), "sleep", "60")
	if !errors.Is(err, errDrain) || !strings.HasPrefix(err.Error(), errDrain.Error()+"\nsleep 60\n") {
		t.Errorf("%v, want %v", err, errDrain)
	}
}

// The last line is the result, whatever is printed before.
func TestLastLine(t *testing.T) {
	var n int
	if err := lastLine(t.Context(), &n, "echo", "begun\n7"); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestMarkers(t *testing.T) {
	for _, c := range []struct{ old, want string }{
		{"a\n" + markerBegin + "\nold\n" + markerEnd + "\nb\n", "a\n" + markerBegin + "\nnew\n" + markerEnd + "\nb\n"},
		{markerBegin + "\n" + markerEnd + "\n", markerBegin + "\nnew\n" + markerEnd + "\n"},
		{"a\n", ""},
		{markerBegin + "\n", ""},
		{markerEnd + "\n" + markerBegin + "\n", ""},
		{markerBegin + "\n" + markerEnd + "\n" + markerBegin + "\n" + markerEnd + "\n", ""},
	} {
		path := t.TempDir() + "/page.md"
		if err := os.WriteFile(path, []byte(c.old), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := betweenMarkers(path, "new\n")
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, errMarkers) {
			t.Errorf("%q: %q, %v", c.old, got, err)
		}
	}
}

// Each system reads a full topic once before what counts, of the same topic, and in JSON.
func TestDrains(t *testing.T) {
	t.Setenv(asProgram, "1")
	broker := newBroker(t)
	dir := t.TempDir()
	for _, name := range []string{sparkTwin, streamsTwin} {
		script(t, filepath.Join(dir, name, "run"), `echo "$@" >>"$(dirname "$0")/told"; echo '{"seconds":0.5}'`)
	}
	c := &comparing{records: 500, topic: "lines", dir: dir, latency: latency{brokers: broker.Addrs()[0]}, twins: map[string]*twin{
		sparkTwin: {sparkTwin, filepath.Join(dir, sparkTwin, "run")}, streamsTwin: {streamsTwin, filepath.Join(dir, streamsTwin, "run")},
	}}
	for _, s := range c.drains(workCount).systems {
		got, err := s.measure(t.Context())
		if err != nil || len(got) != 1 || got[0] <= 0 {
			t.Fatalf("%s: %v, %v", s.name, got, err)
		}
		if s.mayFail && got[0] != 1000 {
			t.Errorf("%s: %g records/s, want 1000", s.name, got[0])
		}
	}
	want := fmt.Sprintf("count --interval 200 --dir %s --brokers %s --topic lines --records 500 --warm-ups 1\n", dir, broker.Addrs()[0])
	for _, name := range []string{sparkTwin, streamsTwin} {
		if told, err := os.ReadFile(filepath.Join(dir, name, "told")); err != nil || string(told) != want {
			t.Errorf("%s was told %q, %v; want %q", name, told, err, want)
		}
	}
}

// A file whose disk has no room for the table stays as it was.
func TestWriteToFullDisk(t *testing.T) {
	dir, grow := disktest.Small(t, "16k")
	path := filepath.Join(dir, "page.md")
	const page = markerBegin + "\nold\n" + markerEnd + "\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &compareResult{Rounds: 1, Missing: []string{strings.Repeat("-", 32<<10)}}
	if err := r.writeTo(path); err == nil || !strings.Contains(err.Error(), "has no room") {
		t.Errorf("error %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != page {
		t.Errorf("%.100q is left, %v", got, err)
	}
	grow("1m")
	if err := r.writeTo(path); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != markerBegin+"\n"+r.table()+markerEnd+"\n" {
		t.Errorf("%.100q, %v", got, err)
	}
}
