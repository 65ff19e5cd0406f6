package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Env names the real broker's address.
const Env = "HIBANA_KAFKA"

// Broker is a Kafka cluster that a test uses. The real one is shared with other
// tests, so topics have names of their own.
type Broker struct {
	Addrs []string
	// Fake is the cluster behind Addrs, nil for a real broker.
	Fake *kfake.Cluster
	// Opts are what clients need to reach it beside Addrs.
	Opts []kgo.Opt
	// Replicas are those of a topic's partitions; 0 is 1.
	Replicas int

	network *network // of a virtual cluster
	adm     *kadm.Client
	n       atomic.Int64
}

// Fake starts a kfake cluster, of three nodes unless told otherwise, and closes
// it when the test ends.
func Fake(t testing.TB, opts ...kfake.Opt) *Broker {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatalf("starting kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return newBroker(t, &Broker{Addrs: c.ListenAddrs(), Fake: c})
}

// Virtual starts a kfake cluster of one node on a network of its own, for tests
// in a testing/synctest bubble.
func Virtual(t testing.TB, opts ...kfake.Opt) *Broker {
	t.Helper()
	network := &network{lost: make(map[string]bool), open: make(map[string][]net.Conn)}
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(network.Listen)}, opts...)...)
	if err != nil {
		t.Fatalf("starting kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return newBroker(t, &Broker{Addrs: c.ListenAddrs(), Fake: c, Opts: []kgo.Opt{kgo.Dialer(network.dial)}, network: network})
}

// Real is the broker that HIBANA_KAFKA names. Without one the test is skipped.
func Real(t testing.TB) *Broker {
	t.Helper()
	addr := os.Getenv(Env)
	if addr == "" {
		t.Skipf("no real Kafka: %s is not set; start one and name it: export %s=$(deploy/kafka/kafka start /tmp/kafka 9092)", Env, Env)
	}
	return newBroker(t, &Broker{Addrs: strings.Split(addr, ",")})
}

// Brokers runs a test against both.
func Brokers(t *testing.T, f func(t *testing.T, b *Broker)) {
	t.Run("kfake", func(t *testing.T) { f(t, Fake(t)) })
	t.Run("kafka", func(t *testing.T) { f(t, Real(t)) })
}

func newBroker(t testing.TB, b *Broker) *Broker {
	b.adm = kadm.NewClient(b.Client(t))
	return b
}

// Client makes a franz-go client that is closed when the test ends.
func (b *Broker) Client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	base := append([]kgo.Opt{kgo.SeedBrokers(b.Addrs...), kgo.DisableClientMetrics(), kgo.MetadataMinAge(10 * time.Millisecond)}, b.Opts...)
	if b.network != nil {
		base = append(base, kgo.Dialer(b.network.DialContext)) // whatever is lost
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatalf("making a client of %v: %v", b.Addrs, err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// Admin is a kadm client of the broker.
func (b *Broker) Admin() *kadm.Client { return b.adm }

// Topic creates a topic with a name of its own and waits until each partition
// has a leader that answers. config is key, value, key, value.
func (b *Broker) Topic(t testing.TB, partitions int, config ...string) string {
	t.Helper()
	name := b.Name(t)
	b.Create(t, name, partitions, config...)
	return name
}

// Name returns a name that no topic has. A real broker's topic of that name is
// deleted when the test ends.
func (b *Broker) Name(t testing.TB) string {
	t.Helper()
	clean := strings.NewReplacer("/", ".", " ", "_", "#", "_", "=", "_").Replace(t.Name())
	name := fmt.Sprintf("%s.%d.%d", clean, os.Getpid(), b.n.Add(1))
	if b.Fake == nil {
		name = fmt.Sprintf("%s.%d", name, time.Now().UnixNano())
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			// A test may have deleted it itself.
			_, _ = b.adm.DeleteTopics(ctx, name)
		})
	}
	return name
}

// Create creates a topic of the given name, see Topic.
func (b *Broker) Create(t testing.TB, name string, partitions int, config ...string) {
	t.Helper()
	configs := make(map[string]*string)
	for i := 0; i+1 < len(config); i += 2 {
		configs[config[i]] = &config[i+1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := b.adm.CreateTopic(ctx, int32(partitions), int16(max(1, b.Replicas)), configs, name); err != nil {
		t.Fatalf("creating topic %s: %v", name, err)
	}
	Until(t, "the topic's leaders answer", func() bool {
		ends, err := b.adm.ListEndOffsets(ctx, name)
		return err == nil && ends.Error() == nil && len(ends[name]) == partitions
	})
}

// Delete deletes a topic and waits until it is gone.
func (b *Broker) Delete(t testing.TB, name string) {
	t.Helper()
	if _, err := b.adm.DeleteTopics(t.Context(), name); err != nil {
		t.Fatalf("deleting topic %s: %v", name, err)
	}
	Until(t, "the topic is gone", func() bool {
		ts, err := b.adm.ListTopics(t.Context(), name)
		return err == nil && !ts.Has(name)
	})
}

// HangUp makes a fake cluster close the connection on every request of a kind.
func (b *Broker) HangUp(key kmsg.Key) {
	b.Fake.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		return nil, errors.New("the broker hangs up"), true
	})
}

// Until asks until a condition holds: for what only a broker knows and can only
// be asked for. It fails the test after 30 s.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("30 s passed before %s", what)
		}
	}
}
