package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics are those that a run makes for itself: their names begin alike, and remove deletes
// all that begin so.
type topics struct {
	brokers string // addresses with commas between them; "" if they are the benchmark's, whose topics end with them
	prefix  string
}

// topicPrefix begins the names of all topics that the benchmark makes for itself.
const topicPrefix = "engine-bench-"

// newTopics returns names for a run on the brokers that were given, "" if none were.
func newTopics(brokers string) topics {
	return topics{brokers, topicPrefix + rand.Text()[:8] + "-"}
}

// name returns the name of one of the topics.
func (t topics) name(what string) string { return t.prefix + what }

// topicFor returns the topic that was given, which stays, or the name of one of the run's
// own, which remove deletes where brokers were given too.
func topicFor(ctx context.Context, given, brokers, what string) (topic string, remove func()) {
	if given != "" {
		return given, func() {}
	}
	own := newTopics(brokers)
	return own.name(what), func() { own.remove(ctx) }
}

// topicUsage says what a flag for a topic means to topicFor, and what is done with one that
// isn't there.
func topicUsage(done string) string {
	return "topic that stays: " + done + " if it isn't there; none: one of the run's own, deleted when it ends; made with as many replicas as the brokers' default"
}

// removePatience is how long brokers may take to delete topics.
const removePatience = 5 * time.Second

// remove deletes the topics, also after an interrupt, and says which ones are left.
func (t topics) remove(ctx context.Context) {
	if t.brokers == "" {
		return
	}
	tidy(ctx, t.brokers, func(ctx context.Context) error {
		cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(t.brokers)...), kgo.DisableClientMetrics())
		if err != nil {
			return err
		}
		defer cl.Close()
		return removeTopics(ctx, kadm.NewClient(cl), t.prefix)
	})
}

// tidy calls what deletes topics, also after an interrupt, and says what it left: that is no
// failure of what was measured.
func tidy(ctx context.Context, brokers string, remove func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removePatience)
	defer cancel()
	if err := remove(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "engine-bench: at %s: %v\n", brokers, err)
	}
}

// removeDir removes a temporary directory, and says if it can't: that is no failure of what
// was measured either.
func removeDir(dir string) {
	complain(os.RemoveAll(dir))
}

// complain says what went wrong, if anything did, after all was measured.
func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine-bench:", err)
	}
}

// removeTopics deletes the topics whose names begin with a prefix.
func removeTopics(ctx context.Context, adm *kadm.Client, prefix string) error {
	all, err := adm.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("topics %s* may be left, since listing them failed: %w", prefix, err)
	}
	var names []string
	for _, name := range all.Names() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return deleteTopics(ctx, adm, names...)
}

// deleteTopics deletes topics, those that are gone already too. Its error names those that
// are left.
func deleteTopics(ctx context.Context, adm *kadm.Client, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	answers, err := adm.DeleteTopics(ctx, names...)
	if err != nil {
		return leftError(names, err)
	}
	return refusedError(answers, names)
}

// refusedError says which topics the brokers refused to delete, nil if none.
func refusedError(answers kadm.DeleteTopicResponses, names []string) (err error) {
	var left []string
	for _, name := range names {
		if of := answers[name].Err; of != nil && !errors.Is(of, kerr.UnknownTopicOrPartition) {
			left, err = append(left, name), cmp.Or(err, of)
		}
	}
	return leftError(left, err)
}

// leftError says which topics weren't deleted, nil if all were.
func leftError(names []string, err error) error {
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("these topics weren't deleted: %s: %w", strings.Join(names, ", "), err)
}

// addresses returns the brokers of a list with commas.
func addresses(brokers string) []string { return strings.Split(brokers, ",") }
