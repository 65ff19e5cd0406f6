package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
)

func newBroker(t *testing.T) *embedded.Broker {
	t.Helper()
	broker, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}

func newAdmin(t *testing.T, brokers ...string) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// topicsAt returns the topics of a broker.
func topicsAt(t *testing.T, broker *embedded.Broker) []string {
	t.Helper()
	all, err := newAdmin(t, broker.Addrs()...).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all.Names()
}

// A run's topics are deleted, after an interrupt too, and nobody else's.
func TestTopicsAreRemoved(t *testing.T) {
	broker := newBroker(t)
	own, another := newTopics(broker.Addrs()[0]), newTopics(broker.Addrs()[0])
	for _, name := range []string{own.name("in"), own.name("out"), another.name("in"), "mine"} {
		if err := kafka.EnsureTopic(t.Context(), broker.Addrs(), name, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	own.remove(ctx)
	if got, want := topicsAt(t, broker), []string{another.name("in"), "mine"}; !slices.Equal(got, want) {
		t.Errorf("topics %q are left, want %q", got, want)
	}
}

// Topics that couldn't be deleted are named.
func TestTopicsThatStay(t *testing.T) {
	broker := newBroker(t)
	adm := newAdmin(t, broker.Addrs()...)
	if err := deleteTopics(t.Context(), adm, "gone-already"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := deleteTopics(ctx, adm, "a", "b"); err == nil || !strings.HasPrefix(err.Error(), "these topics weren't deleted: a, b: ") {
		t.Errorf("error %v", err)
	}
	if err := removeTopics(ctx, adm, "engine-bench-x-"); err == nil || !strings.HasPrefix(err.Error(), "topics engine-bench-x-* may be left, since listing them failed: ") {
		t.Errorf("error %v", err)
	}
}

// A topic that brokers refuse to delete is named, and those that are gone aren't.
func TestTopicThatIsRefused(t *testing.T) {
	answers := kadm.DeleteTopicResponses{
		"a": {Topic: "a"}, "b": {Topic: "b", Err: kerr.TopicAuthorizationFailed}, "c": {Topic: "c", Err: kerr.UnknownTopicOrPartition},
	}
	err := refusedError(answers, []string{"a", "b", "c"})
	if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.HasPrefix(err.Error(), "these topics weren't deleted: b: ") {
		t.Errorf("error %v", err)
	}
	if err := refusedError(answers, []string{"a", "c"}); err != nil {
		t.Error(err)
	}
}

// Brokers that weren't given aren't asked to delete what ends with them.
func TestTopicsOfOwnBrokers(t *testing.T) {
	broker := newBroker(t)
	b := &paperBench{addr: broker.Addrs()[0]}
	if err := b.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer b.disconnect(t.Context())
	if err := kafka.EnsureTopic(t.Context(), broker.Addrs(), "here", 1); err != nil {
		t.Fatal(err)
	}
	topics{"", "here"}.remove(t.Context())
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	b.drop(interrupted, "here")
	if got := topicsAt(t, broker); !slices.Equal(got, []string{"here"}) {
		t.Errorf("topics %q", got)
	}
	b.drop(t.Context(), "here") // between runs it makes room
	if got := topicsAt(t, broker); len(got) > 0 {
		t.Errorf("topics %q are left", got)
	}
}

// Workloads leave no topic on brokers that are given.
func TestWorkloadsLeaveNothing(t *testing.T) {
	t.Setenv(asProgram, "1")
	broker := newBroker(t)
	for _, line := range []string{
		"count --records 500 --rounds 1 --warm-ups 0 --interval 20ms",
		"fold --records 500 --keys 10 --rounds 1 --warm-ups 0 --interval 20ms",
		"overhead --batches 5 --interval 50ms",
		"state --keys 10 --rate 1000 --warm 0 --batches 2 --interval 100ms",
		"latency --rate 200 --rounds 1 --warm 50ms --for 100ms",
		"realtime --queries stateless --rate 200 --rounds 1 --warm 50ms --for 100ms --java no",
	} {
		words := strings.Fields(line)
		_, err := runWorkload(t, words[0], append(words[1:], "--brokers", broker.Addrs()[0])...)
		if err != nil && !strings.Contains(err.Error(), "does not hold") { // the interval of overhead on a slow machine
			t.Errorf("%s: %v", line, err)
		}
		if got := topicsAt(t, broker); len(got) > 0 {
			t.Errorf("%s: topics %q are left", line, got)
		}
	}
}

// A workload leaves no topic on brokers that are given, which may be several, but for one that
// was named, which it uses again.
func TestWorkloadsTopics(t *testing.T) {
	broker := newBroker(t)
	run := func(args ...string) error {
		addr := broker.Addrs()[0]
		_, err := runWorkload(t, "wordcount", append(args, "--brokers", addr+","+addr, "--records", "500", "--rounds", "1", "--interval", "20ms")...)
		return err
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if got := topicsAt(t, broker); len(got) > 0 {
		t.Errorf("topics %q are left", got)
	}
	for range 2 {
		if err := run("--topic", "kept"); err != nil {
			t.Fatal(err)
		}
	}
	if got := topicsAt(t, broker); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("topics %q are left, want the one that was named", got)
	}
}

// A topic that is there with another number of partitions isn't measured in place of what was
// asked for.
func TestTopicOfOtherPartitions(t *testing.T) {
	broker := newBroker(t)
	if err := kafka.EnsureTopic(t.Context(), broker.Addrs(), "kept", 3); err != nil {
		t.Fatal(err)
	}
	const want = "topic kept has 3 partitions, not 4: delete it, name another with --topic, or ask for as many with --partitions"
	for _, line := range []string{"count --records 10", "wordcount --records 10", "fold --records 10", "mnist --images 10", "overhead"} {
		words := append(strings.Fields(line), "--topic", "kept", "--partitions", "4", "--brokers", broker.Addrs()[0])
		if _, err := runWorkload(t, words[0], words[1:]...); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", line, err, want)
		}
	}
	if err := makeTopic(t.Context(), broker.Addrs()[0], "kept", 3); err != nil {
		t.Error(err)
	}
}

// Without a broker a workload says so before it measures, or builds, anything.
func TestNoBroker(t *testing.T) {
	for _, line := range []string{
		"count", "latency", "realtime --java yes --bench /nowhere", "wordcount", "fold", "window", "state", "overhead", "failover", "mnist",
		"compare --java yes --bench /nowhere", "paper --out " + t.TempDir(),
	} {
		words := append(strings.Fields(line), "--brokers", "127.0.0.1:1")
		if _, err := runWorkload(t, words[0], words[1:]...); err == nil || !strings.HasPrefix(err.Error(), "no Kafka broker answers at 127.0.0.1:1: start one") {
			t.Errorf("%s: error %v", line, err)
		}
	}
}

// What a topic can't be filled with for want of a broker is an error, and not a wait for ever.
func TestLoadFails(t *testing.T) {
	broker := newBroker(t)
	if err := makeTopic(t.Context(), broker.Addrs()[0], "full", 1); err != nil {
		t.Fatal(err)
	}
	tooLarge := make([]byte, 2<<20) // a broker refuses it
	err := load(t.Context(), broker.Addrs()[0], "full", 1, 1_000_000_000, func() []byte { return tooLarge })
	if err == nil || !strings.HasPrefix(err.Error(), "loading topic full: ") {
		t.Errorf("error %v", err)
	}
}
