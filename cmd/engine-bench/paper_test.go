package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// newPaperRun returns a run of a small grid on a broker, and what measures it, with
// executors in this process.
func newPaperRun(t *testing.T) (*paperRun, *paperBench) {
	t.Helper()
	broker, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	images, err := mnist.Test()
	if err != nil {
		t.Fatal(err)
	}
	network := &mnistBench{model: "mlp"}
	if network.weights, err = randomWeights(network.network()); err != nil {
		t.Fatal(err)
	}
	p := &paperRun{out: t.TempDir(), settings: paper.Settings{Images: 500, Recognised: 70}, grid: paper.Grid{
		Replications: []int{1}, Partitions: []int{3}, Consumers: []int{1, 2}, Images: 500, Recognised: 70, Repetitions: 1,
	}}
	return p, &paperBench{
		addr: broker.Addrs()[0], given: broker.Addrs()[0], images: images, perRun: 500, toDigits: 70, network: network,
		executors: func(n int) string { return fmt.Sprintf("local[%d]", n) },
	}
}

// All cells of a grid are measured, and its topics are gone afterwards.
func TestPaper(t *testing.T) {
	p, b := newPaperRun(t)
	got, err := p.run(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	r := got.(*paperResult)
	if len(r.Cells) != 13 || len(r.EngineBeside) != 6 {
		t.Errorf("%d cells, %d of them the engine's beside a client's; want 13 and 6", len(r.Cells), len(r.EngineBeside))
	}
	for _, c := range r.Cells {
		writes, reads := c.Cell.Scenario == paper.Both || c.Cell.Scenario == paper.Write, c.Cell.Reader != paper.Nobody
		if (c.Producer.Median > 0) != writes || (c.Consumers.Median > 0) != reads {
			t.Errorf("%s: written %g/s, read %g/s", c.Cell, c.Producer.Median, c.Consumers.Median)
		}
	}
	for _, name := range []string{"results.csv", "report.html", "report.md", "figures/figure-7.svg"} {
		if s, err := os.Stat(p.out + "/" + name); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	noTopics(t, b)
}

func TestPaperTopics(t *testing.T) {
	_, b := newPaperRun(t)
	reopen(t, b, "id")
	cell := paper.Cell{Setup: paper.Setup{Nodes: 1, Replication: 1}, Partitions: 4}
	if _, err := b.newTopic(t.Context(), cell); err != nil {
		t.Fatal(err)
	}
	cell.Replication = 3
	if _, err := b.newTopic(t.Context(), cell); err == nil || !strings.Contains(err.Error(), "too few for --replication 3") {
		t.Errorf("more replicas than brokers: error %v", err)
	}
	reopen(t, b, "id") // as after a kill
	b.close(t.Context())
	noTopics(t, b)
}

// What ends deletes its own topics, and not those of another process with the same results.
func TestPaperCopiedResults(t *testing.T) {
	_, b := newPaperRun(t)
	other := *b
	reopen(t, &other, "id")
	reopen(t, b, "id")
	cell := paper.Cell{Setup: paper.Setup{Nodes: 1, Replication: 1}, Partitions: 1}
	topic, err := b.newTopic(t.Context(), cell)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.newTopic(t.Context(), cell); err != nil {
		t.Fatal(err)
	}
	other.close(t.Context())
	all, err := newAdmin(t, b.addr).ListTopics(t.Context()) // b's remembers what there was
	if err != nil || !slices.Equal(all.Names(), []string{topic}) {
		t.Errorf("topics %q are left, want %s; error %v", all.Names(), topic, err)
	}
	b.close(t.Context())
	noTopics(t, b)
}

// A grid that is complete is reported again, and needs no brokers.
func TestPaperComplete(t *testing.T) {
	p, b := newPaperRun(t)
	if _, err := p.run(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.out + "/report.md"); err != nil {
		t.Fatal(err)
	}
	k, _, say := newFakeKafka(t)
	say("broken")
	b.addr, b.given, b.real = "", "", k
	if r, err := p.run(t.Context(), b); err != nil || len(r.(*paperResult).Cells) != 13 {
		t.Fatal(r, err)
	}
	if _, err := os.Stat(p.out + "/report.md"); err != nil {
		t.Error(err)
	}
	p.grid.Repetitions++
	if _, err := p.run(t.Context(), b); err == nil || !strings.Contains(err.Error(), "starting Kafka nodes (1): ") {
		t.Errorf("one that isn't complete: error %v", err)
	}
}

// What was measured stays when the disk has no room for the reports, and is told as partial;
// with more room the same command only writes them.
func TestPaperFullDisk(t *testing.T) {
	p, b := newPaperRun(t)
	dir, grow := disktest.Small(t, "32k")
	p.out = dir
	got, err := p.run(t.Context(), b)
	if !errors.As(err, new(partialError)) || !strings.Contains(err.Error(), "has no room") {
		t.Fatalf("error %v", err)
	}
	if r := got.(*paperResult); len(r.Cells) != 13 || !strings.Contains(r.Partial, "has no room") {
		t.Errorf("%d cells, partial: %q", len(r.Cells), r.Partial)
	}
	grow("8m")
	b.addr, b.given, b.real = "", "", &realKafka{script: "/nowhere"} // none is started
	if got, err := p.run(t.Context(), b); err != nil || got.(*paperResult).Partial != "" {
		t.Error(got, err)
	}
	if s, err := os.Stat(filepath.Join(dir, "report.html")); err != nil || s.Size() == 0 {
		t.Error(s, err)
	}
}

// Brokers that fill the disk on which the reports are to be make room for them.
func TestPaperBrokersFillTheDisk(t *testing.T) {
	p, b := newPaperRun(t)
	dir, _ := disktest.Small(t, "256k")
	k, _, _ := newFakeKafka(t)
	script(t, k.script, `case $1 in
start) mkdir -p "$2/data" && head -c 220k /dev/zero >"$2/data/log" && echo 127.0.0.1:1 ;;
esac`)
	p.out, p.grid.Nodes, k.dir = dir, []int{1}, filepath.Join(dir, "brokers")
	b.addr, b.given, b.real = "", "", k
	_, err := p.run(t.Context(), b)
	if err == nil || !strings.Contains(err.Error(), "the disk of "+k.dir+" has no room") || strings.Contains(err.Error(), "report") {
		t.Errorf("error %v", err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !strings.Contains(string(page), "Partial: 0 of 13 runs") {
		t.Error(err)
	}
}

// A grid that is interrupted tells what there is, as one that is partial, in JSON too.
func TestPaperStopped(t *testing.T) {
	p, b := newPaperRun(t)
	ctx, interrupt := context.WithCancel(t.Context())
	b.executors = func(n int) string { interrupt(); return "local[1]" } // the grid's third scenario
	got, err := p.run(ctx, b)
	if !errors.As(err, new(partialError)) || !errors.Is(err, paper.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"partial":"interrupted after `) || !strings.Contains(string(text), `"producer_images_per_second":{"median":`) {
		t.Errorf("%s, %v", text, err)
	}
	var out bytes.Buffer
	got.print(&out)
	if !strings.Contains(out.String(), "\nPartial: interrupted after 6 of 13 runs\n") {
		t.Error(out.String())
	}
	page, err := os.ReadFile(filepath.Join(p.out, "report.md"))
	if err != nil || !strings.Contains(string(page), "**Partial: interrupted after 6 of 13 runs") {
		t.Errorf("%s, %v", page, err)
	}
}

// Reports name no directories of the machine.
func TestPaperElsewhere(t *testing.T) {
	p, b := newPaperRun(t)
	p.out, b.real = "/home/me/out", &realKafka{script: "/src/hibana/" + kafkaScript}
	failed := paper.Row{Run: paper.Run{Cell: paper.Cell{Setup: paper.Setup{Nodes: 1, Replication: 1}, Partitions: 3, Scenario: paper.Write, Reader: paper.Nobody}, Repetition: 1},
		Failed: "/src/hibana/deploy/kafka/kafka start: the disk of /home/me/out/brokers has no room"}
	p.grid.Nodes = []int{1}
	r := p.report([]paper.Row{failed}, errors.New("writing /home/me/out/results.csv: no room"), b.elsewhere(p.out))
	if want := "writing out/results.csv: no room"; r.Stopped != want {
		t.Errorf("stopped: %q, want %q", r.Stopped, want)
	}
	if got, want := r.Cells[0].Failed, "deploy/kafka/kafka start: the disk of out/brokers has no room"; got != want {
		t.Errorf("failed: %q, want %q", got, want)
	}
}

// A topic that is loaded serves all runs that read as many partitions, of other repetitions too.
func TestPaperLoadsOnce(t *testing.T) {
	_, b := newPaperRun(t)
	reopen(t, b, "id")
	defer b.close(t.Context())
	read := func(partitions, repetition int) string {
		cell := paper.Cell{Setup: paper.Setup{Nodes: 1, Replication: 1}, Partitions: partitions, Scenario: paper.Read, Reader: paper.Bare, Consumers: 1}
		if m, err := b.Measure(t.Context(), paper.Run{Cell: cell, Repetition: repetition}); err != nil || m.Read == 0 {
			t.Fatal(m, err)
		}
		return b.loaded.name
	}
	first := read(2, 1)
	if again := read(2, 2); again != first {
		t.Errorf("the second repetition loads %s where %s is there", again, first)
	}
	if other := read(4, 2); other == first {
		t.Error("four partitions are read where there are two")
	}
}

// reopen connects and makes ready for the runs of an id.
func reopen(t *testing.T, b *paperBench, id string) {
	t.Helper()
	err := b.disconnect(t.Context())
	if err == nil {
		err = b.connect(t.Context(), &paper.Grid{Replications: []int{1}})
	}
	if err == nil {
		err = b.open(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := b.dir // a test may open twice
	t.Cleanup(func() {
		removeDir(dir)
		_ = b.disconnect(context.Background()) // the test is over
	})
}

// noTopics fails the test if the broker has any.
func noTopics(t *testing.T, b *paperBench) {
	t.Helper()
	reopen(t, b, "another")
	defer b.close(t.Context())
	if topics, err := b.admin.ListTopics(t.Context()); err != nil || len(topics) > 0 {
		t.Errorf("topics %v are left, error %v", topics.Names(), err)
	}
}

func TestLastOf(t *testing.T) {
	for _, c := range []struct {
		ends, want map[int32]int64
		n          int64
	}{
		{map[int32]int64{0: 100, 1: 100}, map[int32]int64{0: 0, 1: 0}, 200},
		{map[int32]int64{0: 100, 1: 50, 2: 0}, map[int32]int64{0: 80, 1: 40, 2: 0}, 30},
		{map[int32]int64{0: 3, 1: 3, 2: 3}, map[int32]int64{0: 3, 1: 2, 2: 2}, 2},
	} {
		if got := lastOf(c.ends, c.n); !maps.Equal(got, c.want) {
			t.Errorf("the last %d of %v begin at %v, want %v", c.n, c.ends, got, c.want)
		}
	}
}

func TestPaperFlags(t *testing.T) {
	for _, line := range []string{
		"", "--out d --partitions 0", "--out d --consumers 1,x", "--out d --images 10 --recognise 11", "--out d --repetitions 0", "--out d --model vgg",
		"--out d --consumers 1..7", "--out d --replication 3", "--out d --kafka-nodes 2", "--out d --kafka-nodes 3 --replication 4",
		"--out d --kafka-nodes 3 --brokers b:1", "--out d --partitions 3..1",
	} {
		if _, err := runWorkload(t, "paper", strings.Fields(line)...); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v, want one about the use", line, err)
		}
	}
	for line, want := range map[string]string{
		"--out d":                            "[1 2 4 8 16] [1 2 4] 500000 100000 5 1",
		"--out d --quick":                    "[1 4 16] [1 2 4] 100000 10000 1 0",
		"--out d --partitions 8,2,8 --quick": "[2 8] [1 2 4] 100000 10000 1 0",
		"--out d --partitions 1..3,8":        "[1 2 3 8] [1 2 4] 500000 100000 5 1",
		"--out d --quick --images 100":       "[1 4 16] [1 2 4] 100 100 1 0",
	} {
		f := flag.NewFlagSet("paper", flag.ContinueOnError)
		o := newPaperFlags(f)
		if err := o.parse(f, strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		g := o.grid
		if got := fmt.Sprint(g.Partitions, g.Consumers, g.Images, g.Recognised, g.Repetitions, g.WarmUp); got != want || !slices.Equal(g.Replications, []int{1}) {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// The report says what to type, without where its directory lies.
func TestPaperCommand(t *testing.T) {
	for line, want := range map[string]string{
		"--quick --out /a/b":   "engine-bench paper --quick --out b",
		"--out=/a/b --quick":   "engine-bench paper --out=b --quick",
		"--out /a/b --model x": "engine-bench paper --out b --model x",
	} {
		if got := commandLine(strings.Fields(line), "/a/b"); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// A setup of brokers and replicas is as it was asked for.
func TestPaperNodes(t *testing.T) {
	f := flag.NewFlagSet("paper", flag.ContinueOnError)
	o := newPaperFlags(f)
	if err := o.parse(f, strings.Fields("--out d --kafka-nodes 1,3 --replication 1..3")); err != nil {
		t.Fatal(err)
	}
	if got := o.grid.Setups(); len(got) != 4 || got[3] != (paper.Setup{Nodes: 3, Replication: 3}) {
		t.Errorf("setups %v", got)
	}
}

// No broker, or too few, is an error that says so and leaves no results that others would
// have to go on with.
func TestPaperWithoutBroker(t *testing.T) {
	p, b := newPaperRun(t)
	b.addr = "127.0.0.1:1"
	_, err := p.run(t.Context(), b)
	if err == nil || !strings.Contains(err.Error(), "no Kafka broker answers at 127.0.0.1:1: start one") {
		t.Errorf("error %v", err)
	}
	p, b = newPaperRun(t)
	p.grid.Replications = []int{1, 2}
	_, err2 := p.run(t.Context(), b)
	if err2 == nil || !strings.Contains(err2.Error(), "too few for --replication 2: start as many, or ask for less: there are 1") {
		t.Errorf("more replicas than brokers: error %v", err2)
	}
	if _, err := os.Stat(p.out + "/results.csv"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there are results: %v", err)
	}
}

// An interrupt ends the engine's run although the brokers are gone.
func TestPaperInterrupted(t *testing.T) {
	broker, err := embedded.Start(embedded.Options{Topics: []embedded.Topic{{Name: "images", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	b := &paperBench{addr: broker.Addrs()[0], network: &mnistBench{model: "mlp"}}
	s := b.newStream(paper.Cell{Scenario: paper.Read, Reader: paper.Engine, Consumers: 2}, workOf{"images", map[int32]int64{0: 0, 1: 0}, 1})
	ctx, interrupt := context.WithCancel(t.Context())
	if _, err := s.run(ctx, func() { broker.Close(); interrupt() }); err == nil {
		t.Error("what was read of nothing counts")
	}
}
