package ranges

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var errNoLeader = errors.New("the partition has no leader at the moment")

// route is the last known place of a partition and its topic's identity.
type route struct {
	id [16]byte
	at leader
}

// routes are the places of partitions that are known.
//
// THREADING: mu guards them; no other lock is taken meanwhile.
type routes struct {
	mu    sync.Mutex
	known map[partitionKey]route
}

func (r *routes) of(key partitionKey) (route, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rt, ok := r.known[key]
	return rt, ok
}

func (r *routes) set(key partitionKey, rt route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remember(r.known, key, rt)
}

func (r *routes) forget(key partitionKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}

// lobby holds the streams whose leaders are to be asked for, each after a delay.
//
// THREADING: mu guards waiting, and retryAt of who is in it. Of other locks only those of
// streams are taken meanwhile.
type lobby struct {
	wake chan struct{} // holds a token when somebody has come, or is in a hurry

	mu      sync.Mutex
	waiting []*stream
}

// enter becomes the holder of streams, for a while at least.
func (y *lobby) enter(delay time.Duration, streams ...*stream) {
	if len(streams) == 0 {
		return
	}
	at := time.Now().Add(delay)
	for _, s := range streams {
		s.retryAt = at
	}
	y.mu.Lock()
	y.waiting = append(y.waiting, streams...)
	y.mu.Unlock()
	y.signal()
}

// hurry ends the delay of a stream, if it is there.
func (y *lobby) hurry(s *stream) {
	y.mu.Lock()
	there := slices.Contains(y.waiting, s)
	if there {
		s.retryAt = time.Time{}
	}
	y.mu.Unlock()
	if there {
		y.signal()
	}
}

func (y *lobby) signal() {
	select {
	case y.wake <- struct{}{}:
	default:
	}
}

// due hands over the streams whose delay is over, and those that nobody reads: they
// are gone. It says when the next one's delay is.
func (y *lobby) due() (due, gone []*stream, wait time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	now, wait := time.Now(), time.Hour
	y.waiting = slices.DeleteFunc(y.waiting, func(s *stream) bool {
		if s.isClosed() {
			gone = append(gone, s)
			return true
		}
		if d := s.retryAt.Sub(now); d > 0 {
			wait = min(wait, d)
			return false
		}
		due = append(due, s)
		return true
	})
	return due, gone, wait
}

// router hands each stream that wants its next chunk to its leader's link, and asks
// for the leaders of those that have none or whose leader refused.
//
// THREADING: run is the router's goroutine. want and wantAhead may be called by anybody, the other
// methods by a stream's holder. What changes is in routes and the lobby.
type router struct {
	opts    *Options
	cl      *kgo.Client
	links   *links
	outage  *outage
	history *history
	buffer  *buffer
	counts  *counters
	routes  routes
	lobby   lobby
}

func newRouter(o *Options, cl *kgo.Client, ls *links, out *outage, h *history, b *buffer, counts *counters) *router {
	return &router{
		opts: o, cl: cl, links: ls, outage: out, history: h, buffer: b, counts: counts,
		routes: routes{known: make(map[partitionKey]route)}, lobby: lobby{wake: make(chan struct{}, 1)},
	}
}

// want asks for the next chunk of streams, but of those of which one is on its way
// or two wait for a reader. It reuses the slice.
func (r *router) want(streams ...*stream) {
	wanted := streams[:0]
	for _, s := range streams {
		if s.begin() {
			wanted = append(wanted, s)
		}
	}
	r.route(wanted)
}

// wantAhead asks for what is to be prefetched and has room now.
func (r *router) wantAhead() { r.want(r.buffer.due(r.history, r.opts)...) }

// route hands streams on together, so that one request can ask for many. It reuses
// the slice.
func (r *router) route(streams []*stream) {
	known, unknown := streams[:0], []*stream(nil)
	for _, s := range streams {
		rt, ok := r.routes.of(s.key())
		older := rt.at.epoch < s.rg.LeaderEpoch && s.next == s.rg.From // once: a broker may stay behind
		if !ok || older || s.id != [16]byte{} && s.id != rt.id {
			unknown = append(unknown, s)
			continue
		}
		s.id, s.at = rt.id, rt.at
		known = append(known, s)
	}
	r.lobby.enter(0, unknown...)
	r.links.add(known)
}

// elsewhere asks for a stream's leader anew: at once the first time.
func (r *router) elsewhere(s *stream, why error) {
	if s.tries > 0 || s.ahead {
		r.retryElsewhere(s, why)
		return
	}
	s.tries++
	r.routes.forget(s.key())
	r.lobby.enter(0, s)
}

// retryElsewhere is retry for a stream whose leader may be another one now.
func (r *router) retryElsewhere(s *stream, why error) {
	r.routes.forget(s.key())
	r.retry(s, why)
}

// retry asks for a stream's leader after its backoff. What is ahead isn't tried again: it ends, and
// who reads it goes on with a stream that is.
func (r *router) retry(s *stream, why error) {
	if s.ahead {
		r.fail(s, why)
		return
	}
	delay := s.backoff()
	r.outage.enter(s, why)
	r.buffer.postpone(s)
	r.lobby.enter(delay, s)
}

// fail ends a stream.
func (r *router) fail(s *stream, err error) {
	r.outage.leave(s)
	s.fail(err)
}

// doubt fails a stream if the verdict has stood for a while, and asks again
// otherwise.
func (r *router) doubt(s *stream, err error) {
	now := time.Now()
	if s.doubtSince.IsZero() {
		s.doubtSince = now
	}
	if now.Sub(s.doubtSince) >= confirmAfter {
		r.fail(s, err)
		return
	}
	r.retry(s, err)
}

// run finds the leaders of the streams in the lobby until ctx ends.
func (r *router) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		due, gone, wait := r.lobby.due()
		for _, s := range gone {
			r.outage.leave(s)
		}
		if len(due) > 0 {
			r.refresh(ctx, due)
			continue
		}
		timer.Reset(wait)
		select {
		case <-r.lobby.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// postponed is how long a prefetched stream waits for others that are tried again, or for room.
const postponed = 500 * time.Millisecond

// refresh asks for the leaders of streams and hands them on.
func (r *router) refresh(ctx context.Context, due []*stream) {
	var topics []string
	for _, s := range due {
		if !slices.Contains(topics, s.rg.Topic) {
			topics = append(topics, s.rg.Topic)
		}
	}
	infos, err := describe(ctx, r.cl, topics)
	r.counts.refreshes.Add(1)
	var found []*stream
	for _, s := range due {
		switch {
		case ctx.Err() != nil:
		case s.isClosed():
			r.outage.leave(s)
		case err != nil:
			r.retry(s, err)
		case !r.settle(s, infos):
		case r.buffer.again(s, r.opts):
			found = append(found, s)
		default:
			r.lobby.enter(postponed, s)
		}
	}
	r.links.add(found)
	r.wantAhead() // in place of those that were postponed
}

// settle decides whether a stream goes on by what the brokers say of its topic, and
// where.
func (r *router) settle(s *stream, infos map[string]topicInfo) (goesOn bool) {
	info, ok := infos[s.rg.Topic]
	if !ok {
		info.err = ErrUnknownTopic
	}
	at, found := info.partitions[s.rg.Partition]
	switch {
	case info.err != nil && !isFatal(info.err):
		r.doubt(s, r.topicError(s, info.err))
	case info.err != nil:
		r.fail(s, r.topicError(s, info.err))
	case s.id != [16]byte{} && info.id != s.id:
		r.routes.forget(s.key())
		r.doubt(s, r.topicError(s, ErrTopicRecreated))
	case !found:
		r.doubt(s, r.topicError(s, fmt.Errorf("%w (it has %d)", ErrUnknownPartition, len(info.partitions))))
	case at.node < 0:
		r.retry(s, errNoLeader)
	default:
		r.routes.set(s.key(), route{info.id, at})
		s.id, s.at = info.id, at
		return true
	}
	return false
}

func (r *router) topicError(s *stream, err error) error {
	return &TopicError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: s.next, Brokers: r.opts.addresses(), Err: err}
}
