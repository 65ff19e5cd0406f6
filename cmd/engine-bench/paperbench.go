package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// paperBench makes the runs of the paper's grid on a Kafka. It is a paper.Bench.
type paperBench struct {
	addr      string     // of the brokers, with commas
	given     string     // the same if they were given, else "": they end with the benchmark
	real      *realKafka // which starts them, nil if they are there
	images    mnist.Set
	perRun    int64 // images that a run writes and reads
	toDigits  int64 // images that a run recognises
	network   *mnistBench
	executors func(n int) string // the master of n executors

	prefix  string // of this process's topics
	client  *kgo.Client
	admin   *kadm.Client
	dir     string // temporary
	weights string // file with the network's weights, for executor processes
	loaded  loadedTopic
}

// loadedTopic is a topic that holds a run's images, for the runs after it.
type loadedTopic struct {
	name       string
	setup      paper.Setup
	partitions int
}

// isFor reports whether a run of a cell can read the topic: of which repetition it is
// doesn't matter, since all write the same.
func (t loadedTopic) isFor(c paper.Cell) bool {
	return t.name != "" && t.setup == c.Setup && t.partitions == c.Partitions
}

func (b *paperBench) brokers() []string { return addresses(b.addr) }

// newClient returns a client that has reached a broker.
func (b *paperBench) newClient(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.brokers()...), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", b.addr, err)
	}
	if err := ping(ctx, cl, b.addr); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

// connect connects to the brokers and notes in the grid how many there are. Those that the
// benchmark starts are connected to by the first run on them.
func (b *paperBench) connect(ctx context.Context, g *paper.Grid) error {
	if b.real != nil {
		return nil
	}
	if err := b.dial(ctx); err != nil {
		return err
	}
	n, err := b.nodes(ctx)
	if err != nil {
		return err
	}
	if most := slices.Max(g.Replications); most > n {
		return b.tooFew(most, fmt.Errorf("there are %d", n))
	}
	g.Nodes = []int{n}
	return nil
}

// dial connects to the brokers at addr.
func (b *paperBench) dial(ctx context.Context) (err error) {
	if b.client, err = b.newClient(ctx); err == nil {
		b.admin = kadm.NewClient(b.client)
	}
	return err
}

// nodes returns how many brokers there are.
func (b *paperBench) nodes(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	all, err := b.admin.ListBrokers(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing the brokers at %s: %w", b.addr, err)
	}
	return len(all), nil
}

// use lets the runs that follow go to as many brokers, where the benchmark starts them.
func (b *paperBench) use(ctx context.Context, nodes int) (err error) {
	if b.real == nil || b.real.nodes == nodes {
		return nil
	}
	if err := b.disconnect(ctx); err != nil {
		return err
	}
	if b.addr, err = b.real.start(ctx, nodes); err != nil {
		return err
	}
	if err := b.dial(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if n, err := b.nodes(ctx); err != nil || n == nodes {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %d brokers take part in the Kafka at %s: %w", nodes, b.addr, ctx.Err())
		}
	}
}

// disconnect undoes connect.
func (b *paperBench) disconnect(ctx context.Context) error {
	if b.client != nil {
		b.client.Close()
		b.client, b.loaded = nil, loadedTopic{}
	}
	if b.real == nil {
		return nil
	}
	return b.real.stop(ctx)
}

// open makes room for a grid's runs, and removes the topics that processes with the same
// results, whose id it is, left when they were killed.
func (b *paperBench) open(ctx context.Context, id string) (err error) {
	if b.dir, err = os.MkdirTemp("", "engine-bench-"); err != nil {
		return err
	}
	b.weights = filepath.Join(b.dir, "weights.npz")
	if err := os.WriteFile(b.weights, b.network.weights, 0o600); err != nil {
		removeDir(b.dir)
		return err
	}
	all := topics{b.given, topicPrefix + "paper-" + id + "-"}
	all.remove(ctx)
	b.prefix = all.name(rand.Text()[:8] + "-")
	return nil
}

// close deletes what the runs of this process have left. Topics are listed with a client of
// its own: b's remembers for a while which there were.
func (b *paperBench) close(ctx context.Context) {
	topics{b.given, b.prefix}.remove(ctx)
	b.loaded = loadedTopic{}
	removeDir(b.dir)
}

// Measure makes one run.
func (b *paperBench) Measure(ctx context.Context, r paper.Run) (m paper.Measured, err error) {
	if b.real != nil { // brokers without room end, and can't be reached then
		defer func() { err = disk.Explain(b.real.dir, err) }()
	}
	if err := b.use(ctx, r.Nodes); err != nil {
		return m, err
	}
	runtime.GC() // what the run before has left isn't this one's
	switch {
	case r.Scenario == paper.Both:
		return b.both(ctx, r.Cell)
	case r.Scenario == paper.Write:
		m.Written, err = b.load(ctx, r.Cell)
		return m, err
	case !b.loaded.isFor(r.Cell):
		if _, err := b.load(ctx, r.Cell); err != nil {
			return m, err
		}
		runtime.GC()
	}
	m.Read, err = b.read(ctx, r.Cell)
	return m, err
}

// load writes the images to a new topic, which the runs after this one read, and returns
// images/s.
func (b *paperBench) load(ctx context.Context, c paper.Cell) (float64, error) {
	b.unload(ctx)
	topic, err := b.newTopic(ctx, c)
	if err != nil {
		return 0, err
	}
	b.loaded = loadedTopic{topic, c.Setup, c.Partitions}
	_, rate, err := b.write(ctx, topic)
	if err != nil {
		b.unload(ctx)
	}
	return rate, err
}

// unload deletes the loaded topic.
func (b *paperBench) unload(ctx context.Context) {
	if b.loaded.name != "" {
		b.drop(ctx, b.loaded.name)
	}
	b.loaded = loadedTopic{}
}

// newTopic makes a topic for a cell.
func (b *paperBench) newTopic(ctx context.Context, c paper.Cell) (string, error) {
	name := fmt.Sprintf("%s%dp-%d", b.prefix, c.Partitions, time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	_, err := b.admin.CreateTopic(ctx, int32(c.Partitions), int16(c.Replication), nil, name)
	switch {
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return "", b.tooFew(c.Replication, err)
	case err != nil:
		return "", fmt.Errorf("creating topic %s: %w", name, err)
	}
	return name, kafka.EnsureTopic(ctx, b.brokers(), name, c.Partitions) // waits until it can be used
}

func (b *paperBench) tooFew(replication int, err error) error {
	return fmt.Errorf("the brokers at %s are too few for --replication %d: start as many, or ask for less: %w", b.addr, replication, err)
}

// drop deletes a topic. One that stays costs disk, until the same --out goes on. After an
// interrupt, brokers that weren't given end with their topics.
func (b *paperBench) drop(ctx context.Context, topic string) {
	if b.given == "" && ctx.Err() != nil {
		return
	}
	tidy(ctx, b.addr, func(ctx context.Context) error { return deleteTopics(ctx, b.admin, topic) })
}
