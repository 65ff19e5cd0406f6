package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// brokersKey finds the addresses in a context.
type brokersKey struct{}

// Brokers returns the Kafka addresses of the job: those of --brokers, or, if
// there are none, that of a broker embedded in the driver's process, which is
// started by the first call and stopped with the stream. The embedded broker
// keeps its topics in memory, so it doesn't go together with --checkpoint or a
// cluster. With --plan and --offsets nothing is read, so that --brokers may be missing. A
// batch program, which reads what is there already, must be given --brokers;
// its environment is that of [engine.EnvironmentOf].
func Brokers(e engine.Environment) []string {
	readSettings(e) // whoever uses Kafka has its settings, also who only writes
	return e.Shared(brokersKey{}, func() any { return findBrokers(e) }).([]string)
}

func findBrokers(e engine.Environment) []string {
	if list := e.Brokers(); list != "" {
		addrs, err := parseBrokers(list)
		if err != nil {
			e.Fail("kafka", err)
		}
		return addrs
	}
	ssc, ok := e.(*engine.StreamingContext)
	if !ok {
		e.Fail("kafka", fmt.Errorf("%w: a batch program that reads Kafka needs --brokers HOST:PORT", engine.ErrUsage))
		return nil
	}
	if ssc.Looking() { // nobody reaches them
		return []string{notGiven}
	}
	if ssc.Durable() {
		ssc.Fail("kafka", fmt.Errorf("%w: the embedded broker forgets its topics with the process, so a job that outlives it needs --brokers HOST:PORT", engine.ErrUsage))
		return nil
	}
	addr := engine.Value(ssc, "kafka.embedded", func(context.Context) (string, error) {
		b, err := embedded.Start(embedded.Options{RetentionBytes: embeddedRetention})
		if err != nil {
			return "", fmt.Errorf("starting the embedded Kafka broker: %w", err)
		}
		ssc.OnStop(func(context.Context) error { b.Close(); return nil })
		return b.Addrs()[0], nil
	})
	return []string{addr}
}

// isEmbedded reports whether what Brokers returns is the embedded broker.
func isEmbedded(e engine.Environment) bool { return e.Brokers() == "" }

// sayEmbedded adds to an error about a topic that isn't there, if it is the embedded broker's,
// which broker that is: a forgotten --brokers looks like a missing topic.
func sayEmbedded(own bool, err error) error {
	if !own || !errors.Is(err, ranges.ErrUnknownTopic) {
		return err
	}
	return fmt.Errorf("%w; without --brokers this is the broker embedded in this process, which begins without topics: name another with --brokers HOST:PORT", err)
}

// notGiven stands for the brokers of a program that is only looked at: what reaches for them
// all the same, such as a Value, fails with this name, which exists nowhere.
const notGiven = "brokers-not-given.invalid:9092"

// clientKey finds the clients' options in a context.
type clientKey struct{}

// ClientOptions adds franz-go options, such as kgo.DialTLSConfig and kgo.SASL,
// to every Kafka client of the program's streams and sinks, and of the ranges that a
// batch program makes afterwards. Secrets are best
// read from the environment, where each process runs: on a cluster engine-submit
// --secret puts them there. [EnsureTopic] and
// [EndOffsetsWith] take the same options as arguments. Options of consumers and
// groups are refused, as they would have no effect: a stream reads by requests of
// its own.
func ClientOptions(e engine.Environment, opts ...kgo.Opt) {
	for i, o := range opts {
		if err := checkOption(o); err != nil {
			e.Fail("kafka.ClientOptions", fmt.Errorf("option %d of %d: %w", i+1, len(opts), err))
			return
		}
	}
	all := clientOptions(e)
	*all = append(*all, opts...)
}

// checkOption reports an option that no client here can use.
func checkOption(o kgo.Opt) error {
	if o == nil {
		return errNilOption
	}
	_, consumer := o.(kgo.ConsumerOpt)
	if _, group := o.(kgo.GroupOpt); consumer || group {
		return errors.New("it is for consumers, and no client of a stream consumes: what a stream reads is set on kafka.Direct")
	}
	return nil
}

// clientOptions returns where the options are, which are complete when the
// program is built.
func clientOptions(e engine.Environment) *[]kgo.Opt {
	return e.Shared(clientKey{}, func() any { return new([]kgo.Opt) }).(*[]kgo.Opt)
}

// parseBrokers splits a list of HOST:PORT addresses.
func parseBrokers(list string) ([]string, error) {
	var addrs []string
	for a := range strings.SplitSeq(list, ",") {
		a = strings.TrimSpace(a)
		_, port, err := net.SplitHostPort(a)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			return nil, fmt.Errorf("%w: --brokers: %q is not HOST:PORT, with a port from 1 to 65535", engine.ErrUsage, a)
		}
		addrs = append(addrs, a)
	}
	if len(addrs) == 0 {
		return nil, errors.New("--brokers is empty")
	}
	return addrs, nil
}

// embeddedRetention is how much of its log a partition of the embedded broker
// keeps, in bytes of memory.
const embeddedRetention = 32 << 20
