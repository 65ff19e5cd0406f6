package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
)

// programs is the directory of the programs that tests have built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "mnist-stream-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// built builds the programs of this folder, once for all tests.
var built = sync.OnceValue(func() error {
	if out, err := exec.Command("go", "build", "-o", programs+"/", ".", "./mnist-verify").CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of a program of this folder, as a user would run it.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, name)
}

// command returns the program with a deadline, and what it prints.
func command(t *testing.T, path string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, path, args...)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func lastLine(t *testing.T, stdout *bytes.Buffer) (s summary) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("last line %q: %v", lines[len(lines)-1], err)
	}
	return s
}

func TestRecognisesAllImagesAlone(t *testing.T) {
	path := program(t, "mnist-stream")
	for _, model := range []string{"cnn", "mlp"} {
		cmd, stdout, stderr := command(t, path, "--json", "--images", "10000", "--rate", "10000", "--batch-interval", "100ms", "--model", model)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", model, err, stderr)
		}
		s := lastLine(t, stdout)
		want := map[string]float64{"cnn": 0.99, "mlp": 0.98}[model]
		if s.Images != 10_000 || s.Lost != 0 || s.Duplicates != 0 || s.Accuracy < want || s.Batches < 2 || s.LatencyP99 <= 0 {
			t.Errorf("%s: %+v", model, s)
		}
	}
}

func TestInterruptDrains(t *testing.T) {
	cmd, stdout, stderr := command(t, program(t, "mnist-stream"), "--images", "0", "--rate", "2000", "--batch-interval", "50ms", "--json")
	var pressed sync.Once
	cmd.Stderr = writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("seq=10 ")) { // of the log, a line a write
			pressed.Do(func() { _ = cmd.Process.Signal(os.Interrupt) })
		}
		return stderr.Write(b)
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if s := lastLine(t, stdout); s.Images == 0 || s.Duplicates != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestBadInput(t *testing.T) {
	path := program(t, "mnist-stream")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--partitions 0", 2, "--partitions 0 is below 1"},
		{"--batch-interval -1s", 2, "the batch interval is -1s"},
		{"--master spark://here", 2, "unknown master"},
		{"--model gpt", 2, "there are cnn and mlp"},
		{"--on-bad-image cry", 2, "there are fail, skip and dead-letter"},
		{"--conf no.such=1", 2, "unknown setting"},
		{"--conf streaming.kafka.maxRatePerPartition=-1", 2, "--conf streaming.kafka.maxRatePerPartition=-1 (records/s of one partition at most, 0 for no limit (0)): -1 is below 0"},
		{"--rate 0", 2, "--rate 0: it takes a number above 0"},
		{"--rate Inf", 2, "--rate +Inf: it takes a number above 0"},
		{"--rate fast", 2, `invalid value "fast" for flag --rate: it takes a number`},
		{"--until-end", 2, "the cameras take their images later"},
		{"--brokers nowhere", 2, "is not HOST:PORT"},
		{"--no-such-flag", 2, "unknown flag --no-such-flag"},
		{"--checkpoint " + t.TempDir(), 2, "needs --brokers"},
		{"--checkpoint " + file, 2, "it is a file; name a directory"},
		{"--brokers 127.0.0.1:1", 1, "127.0.0.1:1"},
	} {
		cmd, _, stderr := command(t, path, strings.Fields(c.args)...)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: exit code %d, want %d with %q:\n%s", c.args, code, c.code, c.says, stderr)
		}
	}
}

// TestKilledAtRandom kills the process at random moments and starts it again
// with its checkpoint directory, with batches as soon as possible or by the interval. Every image's result must be in the topic, and
// what is there twice must come from one batch, which was in flight at a kill.
func TestKilledAtRandom(t *testing.T) {
	path := program(t, "mnist-stream")
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		addr := b.Addrs[0]
		rnd := rand.New(rand.NewPCG(clustertest.Seed(t), 1))
		const images = 8000
		name := fmt.Sprintf("crash-%d", time.Now().UnixNano())
		args := []string{
			"--brokers", addr, "--checkpoint", t.TempDir(), "--images", strconv.Itoa(images), "--rate", "4000", "--batch-interval", "50ms",
			"--images-topic", name + "-images", "--digits-topic", name + "-digits", "--json", "--log-level", "warn",
		}
		starts := [][]string{args, append(slices.Clone(args), "--asap")}
		kills := 0
		for n := range 12 {
			cmd, stdout, stderr := command(t, path, starts[n%2]...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(100+rnd.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break // it was faster
			}
			if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			kills++
		}
		cmd, stdout, stderr := command(t, path, args...)
		if err := cmd.Run(); err != nil {
			t.Fatalf("the last start: %v\n%s", err, stderr)
		}
		s := lastLine(t, stdout)
		found := compare(t, addr, name+"-images", name+"-digits")
		t.Logf("%d kills, %d images, %d doubled", kills, found.images, found.doubled)
		if kills == 0 || found.images < images || found.lost > 0 || found.foreign > 0 || s.Lost != 0 {
			t.Errorf("%d kills: %+v, the program says %+v", kills, found, s)
		}
	})
}

// comparison is what reading both topics with a client of our own brings.
type comparison struct {
	images, lost, doubled int
	foreign               int // doubled, but from two batches
}

// compare holds the digits against the images by partition and offset.
func compare(t *testing.T, addr, images, digits string) (c comparison) {
	t.Helper()
	type source struct {
		partition int32
		offset    int64
	}
	batch := make(map[source]uint64)
	readAll(t, addr, digits, func(r *kgo.Record) {
		var d Digit
		if err := json.Unmarshal(r.Value, &d); err != nil {
			t.Fatal(err)
		}
		at := source{d.Partition, d.Offset}
		if before, ok := batch[at]; ok {
			c.doubled++
			if before != d.Batch {
				c.foreign++
			}
		}
		batch[at] = d.Batch
	})
	readAll(t, addr, images, func(r *kgo.Record) {
		c.images++
		if _, ok := batch[source{r.Partition, r.Offset}]; !ok {
			c.lost++
		}
	})
	return c
}

// readAll reads a topic from its start to its end.
func readAll(t *testing.T, addr, topic string, take func(*kgo.Record)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ends, err := kafka.EndOffsets(ctx, []string{addr}, topic)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	left := int64(0)
	for _, end := range ends[topic] {
		left += end
	}
	for left > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { left--; take(r) })
	}
	_, _ = kadm.NewClient(cl).DeleteTopics(ctx, topic)
}

// What is no image fails the job with its coordinates, is skipped, or goes to
// the dead-letter topic.
func TestBadImages(t *testing.T) {
	path := program(t, "mnist-stream")
	addr := kafkatest.Fake(t).Addrs[0]
	for _, c := range []struct {
		policy string
		code   int
	}{{"fail", 1}, {"skip", 0}, {"dead-letter", 0}} {
		topic := "bad-" + c.policy
		ctx := context.Background()
		if err := kafka.EnsureTopic(ctx, []string{addr}, topic, 1); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		args := []string{
			"--brokers", addr, "--images", "50", "--rate", "5000", "--batch-interval", "50ms", "--checkpoint", dir, "--json",
			"--images-topic", topic, "--digits-topic", "digits-" + c.policy, "--bad-topic", "letters", "--on-bad-image", c.policy, "--log-level", "warn",
		}
		// The first run takes the images; then something else is written.
		cmd, _, stderr := command(t, path, args...)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", c.policy, err, stderr)
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic))
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, kgo.StringRecord("no image")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		cmd, _, stderr = command(t, path, args...)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s: exit code %d\n%s", c.policy, code, stderr)
		}
		if c.code == 1 && !strings.Contains(stderr.String(), "topic bad-fail partition 0 at offset 50: an image has 784 bytes") {
			t.Errorf("%s:\n%s", c.policy, stderr)
		}
	}
	letters := 0
	readAll(t, addr, "letters", func(r *kgo.Record) {
		letters++
		if string(r.Value) != "no image" || len(r.Headers) != 4 {
			t.Errorf("%s %v", r.Value, r.Headers)
		}
	})
	if letters != 1 {
		t.Errorf("%d dead letters", letters)
	}
}
