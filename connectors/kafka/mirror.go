package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// MirrorOffsets commits how far the stream's complete batches have read to a consumer group,
// once a second at most and when the stream ends, for tools that show a group's lag, and for
// [AtGroup]. It is a mirror and no more: what a job reads is in its batch log, and where offsets
// can't be committed the log says so once and the stream goes on. Nobody may consume with the
// group.
func MirrorOffsets(group string) DirectOption { return mirrorOffsets(group) }

type mirrorOffsets string

func (g mirrorOffsets) ofDirect(o *directOptions) { o.mirror = (*string)(&g) }

// checkMirror reports a group that can't be committed to; nil is none.
func checkMirror(group *string) error {
	if group != nil && *group == "" {
		return errors.New("kafka.MirrorOffsets: the group has no name")
	}
	return nil
}

// mirror commits offsets to a consumer group beside the planning.
//
// THREADING: its goroutine ends with close. mu guards newest.
type mirror struct {
	group  string
	cl     *kgo.Client
	log    *slog.Logger
	wake   chan struct{} // holds a token when newest is to be committed
	closed chan struct{}
	ctx    context.Context // of requests
	cancel context.CancelFunc
	work   sync.WaitGroup
	fails  bool // the last commit did; the goroutine's

	mu     sync.Mutex
	newest kadm.Offsets
}

const (
	// mirrorPause is the time between two commits.
	mirrorPause = time.Second
	// mirrorTimeout bounds a commit, and the last one of all.
	mirrorTimeout = 5 * time.Second
)

// newMirror starts a mirror. It connects when it has something to commit.
func newMirror(group string, to producers) (*mirror, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(to.brokers...), kgo.ClientID("hibana-mirror"), kgo.DisableClientMetrics(),
	}, *to.client...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka.MirrorOffsets(%q): connecting to %s: %w", group, strings.Join(to.brokers, ","), err)
	}
	m := &mirror{group: group, cl: cl, log: to.log, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.work.Go(m.run)
	return m, nil
}

// complete takes in the ranges of a complete batch. It doesn't block.
func (m *mirror) complete(rs []ranges.Range) {
	offsets := make(kadm.Offsets)
	for _, r := range rs {
		if r.From <= r.Until { // else nothing is read yet
			offsets.AddOffset(r.Topic, r.Partition, r.Until, -1)
		}
	}
	m.mu.Lock()
	m.newest = offsets
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// close tries to commit what isn't committed yet, and ends the mirror.
func (m *mirror) close() {
	close(m.closed)
	late := time.AfterFunc(mirrorTimeout, m.cancel)
	m.work.Wait()
	late.Stop()
	m.cancel()
	m.cl.Close()
}

// run commits until the mirror is closed.
func (m *mirror) run() {
	for {
		select {
		case <-m.wake:
			m.commit()
		case <-m.closed:
			m.last()
			return
		}
		select {
		case <-time.After(mirrorPause):
		case <-m.closed:
		}
	}
}

// commit commits the newest offsets, unless that was done.
func (m *mirror) commit() {
	offsets, err := m.try()
	switch {
	case len(offsets) == 0:
		return
	case err != nil && !m.fails:
		m.log.Warn("kafka: how far the stream has read can't be told to the consumer group, the stream goes on", "group", m.group, "error", inUse(err))
	case err == nil && m.fails:
		m.log.Info("kafka: how far the stream has read is told to the consumer group again", "group", m.group)
	}
	m.fails = err != nil
}

// last is the commit behind which none comes.
func (m *mirror) last() {
	if offsets, err := m.try(); err != nil {
		m.log.Warn("kafka: how far the stream has read isn't told to the consumer group: set its offsets by hand (kafka-consumer-groups.sh --reset-offsets) where something goes by them",
			"group", m.group, "offsets", clip(said(offsets)), "error", inUse(err))
	}
}

// said writes offsets as topic/partition:offset.
func said(offsets kadm.Offsets) string {
	var all []string
	for _, o := range offsets.Sorted() {
		all = append(all, fmt.Sprintf("%s/%d:%d", o.Topic, o.Partition, o.At))
	}
	return strings.Join(all, " ")
}

// try commits the newest offsets. Those that it can't commit stay the newest until a batch is
// complete.
func (m *mirror) try() (kadm.Offsets, error) {
	m.mu.Lock()
	offsets := m.newest
	m.newest = nil
	m.mu.Unlock()
	if len(offsets) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, mirrorTimeout)
	defer cancel()
	err := kadm.NewClient(m.cl).CommitAllOffsets(ctx, m.group, offsets)
	if err != nil {
		m.mu.Lock()
		if m.newest == nil {
			m.newest = offsets
		}
		m.mu.Unlock()
	}
	return offsets, err
}

// inUse says what to do where a group has members: only they may commit.
func inUse(err error) error {
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) {
		return fmt.Errorf("%w; somebody consumes with the group: give kafka.MirrorOffsets one of its own", err)
	}
	return err
}
