package ranges

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options configure a Reader or a Planner. The zero value of every field but
// Brokers is a good default.
type Options struct {
	// Brokers are host:port addresses to begin with.
	Brokers []string
	// Client adds franz-go options: TLS, SASL, a dialer.
	Client []kgo.Opt
	// ReadUncommitted also reads open and aborted transactions. A Planner plans
	// up to the high watermark then.
	ReadUncommitted bool
	// Logger is told about waits; nil is slog.Default().
	Logger *slog.Logger
	// Waiting, unless nil, is told what Plan waits for, as long as it does and each time
	// that it has tried again. It is called by Plan.
	Waiting func(why error)

	// Connections is the number of fetch connections to each broker (2). Kafka
	// answers the requests of one connection one after the other.
	Connections int
	// PartitionBytes is how much of one partition a request asks for (2 MiB).
	// A batch that is larger comes nevertheless.
	PartitionBytes int32
	// RequestBytes is how much of all partitions a request asks for (4 MiB), at
	// most 64 MiB.
	RequestBytes int32
	// BufferBytes bounds what is prefetched and not read yet and
	// the leftovers of ended ranges, together (48 MiB). A batch that is larger than what
	// was asked for comes over it.
	BufferBytes int64
	// Alone says that all ranges are read here that a Reader is told to prefetch, so that it
	// begins with the first of a partition, and reads on behind ranges that follow each other where
	// there is more than PartitionBytes.
	Alone bool
	// MaxBatchBytes is the most that one batch may take, also decompressed
	// (96 MiB). What a broker sends is taken up to 1 GiB, so that the error can
	// say where a larger batch ends.
	MaxBatchBytes int
	// EndTimeout is how long a Reader waits for a partition whose log ends before
	// a range's Until: after a failover a new leader's high watermark may lag
	// for a moment (30 s).
	EndTimeout time.Duration
	// ConnectTimeout is how long a Planner tries to reach any broker the first
	// time (5 s). Later it waits for the brokers to come back.
	ConnectTimeout time.Duration
	// MetadataAge is for how long a Planner trusts the leaders that it knows while
	// they answer: how long a new partition or a recreated topic may go unnoticed (5 s).
	MetadataAge time.Duration
}

// confirmAfter is for how long a verdict that cannot be taken back must stand: a
// broker may lag behind the controller for a moment.
const confirmAfter = time.Second

func (o Options) withDefaults() (Options, error) {
	if len(o.Brokers) == 0 {
		return o, errors.New("kafka: no broker addresses given; pass --brokers HOST:PORT")
	}
	if o.Connections < 0 || o.PartitionBytes < 0 || o.RequestBytes < 0 || o.BufferBytes < 0 || o.MaxBatchBytes < 0 {
		return o, errors.New("kafka: negative sizes in ranges.Options")
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Connections = cmp.Or(o.Connections, 2)
	o.PartitionBytes = cmp.Or(o.PartitionBytes, 2<<20)
	o.PartitionBytes = min(o.PartitionBytes, 64<<20)
	o.RequestBytes = min(max(o.PartitionBytes, cmp.Or(o.RequestBytes, 4<<20)), 64<<20)
	o.BufferBytes = cmp.Or(o.BufferBytes, 48<<20)
	o.MaxBatchBytes = cmp.Or(o.MaxBatchBytes, 96<<20)
	o.EndTimeout = cmp.Or(o.EndTimeout, 30*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 5*time.Second)
	o.MetadataAge = cmp.Or(o.MetadataAge, 5*time.Second)
	return o, nil
}

// addresses are the brokers' for an error message.
func (o *Options) addresses() string { return strings.Join(o.Brokers, ",") }

// client makes a franz-go client that fails fast: waiting and retrying are ours,
// so that they show in the log and end with the caller's context.
func (o Options) client() (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID("hibana"),
		kgo.RequestRetries(2),
		kgo.RetryTimeout(5 * time.Second),
		kgo.DialTimeout(5 * time.Second),
		kgo.DisableClientMetrics(),
		kgo.BrokerMaxReadBytes(1 << 30), // a batch comes whole, whatever was asked for
	}, o.Client...)...)
}
