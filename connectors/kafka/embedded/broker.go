package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options configure Start. The zero value is a broker on any free port.
type Options struct {
	// Topics are created at the start.
	Topics []Topic
	// Port to listen on, on 127.0.0.1 only; 0 takes any that is free.
	Port int
	// RetentionBytes is how much of its log a partition keeps (64 MiB).
	RetentionBytes int64
	// RetentionAge is how old a record may grow; 0 is any age.
	RetentionAge time.Duration
	// SegmentBytes is the grain in which memory is given back (1/8 of
	// RetentionBytes, at most 8 MiB).
	SegmentBytes int64
	// TrimInterval is the time between two rounds of retention (500 ms).
	TrimInterval time.Duration
	// Network replaces loopback TCP, for tests under synctest. Clients must dial
	// with it too.
	Network *kfake.VirtualNetwork
}

// Topic is a topic to create.
type Topic struct {
	Name       string
	Partitions int
}

// Broker is a running broker. Close it.
type Broker struct {
	cluster *kfake.Cluster
	client  *kgo.Client
	addrs   []string
	stop    context.CancelFunc
	trimmer sync.WaitGroup
}

// Start starts a broker and returns when it answers.
func Start(o Options) (*Broker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(o.Port),
		kfake.BrokerConfigs(o.configs()),
	}
	clientOpts := []kgo.Opt{kgo.DisableClientMetrics()}
	if o.Network != nil {
		opts = append(opts, kfake.ListenFn(o.Network.Listen))
		clientOpts = append(clientOpts, kgo.Dialer(o.Network.DialContext))
	}
	for _, t := range o.Topics {
		opts = append(opts, kfake.SeedTopics(int32(t.Partitions), t.Name))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded Kafka broker on port %d: %w", o.Port, err)
	}
	addrs := cluster.ListenAddrs()
	client, err := kgo.NewClient(append(clientOpts, kgo.SeedBrokers(addrs...))...)
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("starting the embedded Kafka broker: making its client: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Broker{cluster: cluster, client: client, addrs: addrs, stop: stop}
	b.trimmer.Go(func() { b.trim(ctx, o.TrimInterval) })
	return b, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Port < 0 || o.Port > 65535 {
		return o, fmt.Errorf("embedded Kafka: port %d is not between 0 and 65535", o.Port)
	}
	if o.RetentionBytes < 0 || o.SegmentBytes < 0 || o.RetentionAge < 0 || o.TrimInterval < 0 {
		return o, errors.New("embedded Kafka: negative retention")
	}
	for _, t := range o.Topics {
		if t.Name == "" || t.Partitions < 1 {
			return o, fmt.Errorf("embedded Kafka: topic %q needs a name and at least 1 partition, not %d", t.Name, t.Partitions)
		}
	}
	if o.Port == 0 && o.Network != nil {
		return o, errors.New("embedded Kafka: a virtual network needs a port")
	}
	o.RetentionBytes = cmp.Or(o.RetentionBytes, 64<<20)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, max(1, min(o.RetentionBytes/8, 8<<20)))
	o.TrimInterval = cmp.Or(o.TrimInterval, 500*time.Millisecond)
	return o, nil
}

func (o Options) configs() map[string]string {
	age := int64(-1)
	if o.RetentionAge > 0 {
		age = max(1, o.RetentionAge.Milliseconds())
	}
	return map[string]string{
		"log.segment.bytes":   strconv.FormatInt(o.SegmentBytes, 10),
		"log.retention.bytes": strconv.FormatInt(o.RetentionBytes, 10),
		"log.retention.ms":    strconv.FormatInt(age, 10),
	}
}

// trim applies retention until the broker is closed.
func (b *Broker) trim(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.cluster.ApplyRetention()
		case <-ctx.Done():
			return
		}
	}
}

// Close stops the broker. What it held is gone.
func (b *Broker) Close() {
	b.stop()
	b.trimmer.Wait()
	b.client.Close()
	b.cluster.Close()
}

// Addrs are the addresses to connect to.
func (b *Broker) Addrs() []string { return b.addrs }

// Port is the port that it listens on.
func (b *Broker) Port() int {
	_, port, _ := net.SplitHostPort(b.addrs[0])
	n, _ := strconv.Atoi(port)
	return n
}

// CreateTopic creates a topic. One that exists with as many partitions is fine.
func (b *Broker) CreateTopic(ctx context.Context, t Topic) error {
	adm := kadm.NewClient(b.client)
	_, err := adm.CreateTopic(ctx, int32(t.Partitions), 1, nil, t.Name)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		var details kadm.TopicDetails
		if details, err = adm.ListTopics(ctx, t.Name); err == nil && len(details[t.Name].Partitions) != t.Partitions {
			err = fmt.Errorf("it exists with %d partitions, not %d", len(details[t.Name].Partitions), t.Partitions)
		}
	}
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", t.Name, err)
	}
	return nil
}

// Trim moves the log start of a topic's partitions up to offsets, typically to
// what has been consumed and will not be read again. Segments before that give
// their memory back. An offset before the log start is ignored.
func (b *Broker) Trim(ctx context.Context, topic string, offsets map[int32]int64) error {
	adm := kadm.NewClient(b.client)
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return fmt.Errorf("trimming topic %s: %w", topic, err)
	}
	var to kadm.Offsets
	for partition, offset := range offsets {
		if start, ok := starts.Lookup(topic, partition); !ok || start.Err != nil {
			return fmt.Errorf("trimming topic %s: no partition %d", topic, partition)
		} else if offset > start.Offset {
			to.AddOffset(topic, partition, offset, -1)
		}
	}
	if len(to) == 0 {
		return nil
	}
	resp, err := adm.DeleteRecords(ctx, to)
	if err == nil {
		err = resp.Error()
	}
	// Retention may have been faster, which is as good.
	if err != nil && !errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("trimming topic %s: %w", topic, err)
	}
	return nil
}
