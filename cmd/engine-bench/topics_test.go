package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
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
