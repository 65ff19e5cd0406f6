package kafka

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
)

// A broker that refuses the password has answered.
func TestRefusedPassword(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "secret"))
	b.Fake.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) { // kfake hangs up instead
		b.Fake.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	wrong := []kgo.Opt{kgo.SASL(plain.Auth{User: "me", Pass: "wrong"}.AsMechanism())}
	d := &direct[string]{topics: Subscribe("in"), brokers: b.Addrs, client: &wrong, log: slog.New(slog.DiscardHandler)}
	_, err := d.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "refuses the client") || !strings.Contains(err.Error(), "SASL_AUTHENTICATION_FAILED") ||
		strings.Contains(err.Error(), "no Kafka broker answers") {
		t.Errorf("Direct: %v", err)
	}
	err = EnsureTopic(t.Context(), b.Addrs, "in", 1, wrong...)
	if err == nil || !strings.Contains(err.Error(), "SASL_AUTHENTICATION_FAILED") || !strings.Contains(err.Error(), "kafka.ClientOptions") {
		t.Errorf("EnsureTopic: %v", err)
	}
}

// An address that can't be reached is said to be the one that the broker
// advertises, in the log of a plan and in what EnsureTopic returns.
func TestAdvertisedAddress(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	taken, err := net.Dial("tcp", b.Addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// The port of a connection's near end: nobody listens there, nor can another process.
	advertise(b, topic, int32(taken.LocalAddr().(*net.TCPAddr).Port))

	lines, write := io.Pipe()
	d := &direct[string]{topics: Subscribe(topic), brokers: b.Addrs, client: new([]kgo.Opt), log: slog.New(slog.NewTextHandler(write, nil))}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		_, err := d.Open(ctx)
		opened <- err
		write.Close()
	}()
	line := make([]byte, 1000)
	n, _ := lines.Read(line)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	cancel()
	if err := <-opened; err == nil || !strings.Contains(string(line[:n]), "the address that broker 0 advertises (its advertised.listeners) can't be reached from here: ") {
		t.Errorf("%v\n%s", err, line[:n])
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := EnsureTopic(ctx, b.Addrs, "other", 1); err == nil || !strings.Contains(err.Error(), "the address that broker 0 advertises") {
		t.Errorf("EnsureTopic: %v", err)
	}
}

// advertise makes a broker of one node and one topic say that it is at a port.
func advertise(b *kafkatest.Broker, topic string, port int32) {
	b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		node := kmsg.NewMetadataResponseBroker()
		node.NodeID, node.Host, node.Port = 0, "127.0.0.1", port
		rt, rp := kmsg.NewMetadataResponseTopic(), kmsg.NewMetadataResponseTopicPartition()
		rt.Topic, rt.TopicID, rp.Replicas, rp.ISR = &topic, [16]byte{1}, []int32{0}, []int32{0}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Brokers, resp.Topics, resp.ControllerID = append(resp.Brokers, node), append(resp.Topics, rt), 0
		return resp, nil, true
	})
}
