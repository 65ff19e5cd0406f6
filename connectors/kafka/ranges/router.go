package ranges

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	errNoLeader  = errors.New("the partition has no leader at the moment")
	errEndBefore = errors.New("the log ends before the range does")
)

// want asks for a stream's next chunk, unless one is on its way or two wait. mu
// is held.
func (r *Reader) want(s *stream) {
	if s.inflight || s.closed || s.err != nil || s.next >= s.rg.Until || len(s.ready) > 1 || r.ctx.Err() != nil {
		return
	}
	s.inflight = true
	rt, ok := r.leaders[s.key()]
	older := rt.at.epoch < s.rg.LeaderEpoch && s.next == s.rg.From // once: a broker may stay behind
	if !ok || older || s.id != [16]byte{} && s.id != rt.id {
		r.reroute(s, 0)
		return
	}
	r.assign(s, rt)
}

// assign hands a stream to its leader's link. mu is held.
func (r *Reader) assign(s *stream, rt route) {
	s.id, s.at = rt.id, rt.at
	l := r.links[rt.at.node]
	if l == nil {
		l = &link{node: rt.at.node, wake: make(chan struct{}, len(r.clients))}
		r.links[l.node] = l
		for _, cl := range r.clients {
			r.wg.Go(func() { r.runFetcher(l, cl) })
		}
	}
	l.add(s)
}

// reroute hands a stream to the router, which asks for its leader after a delay.
// mu is held.
func (r *Reader) reroute(s *stream, delay time.Duration) {
	s.retryAt = time.Now().Add(delay)
	r.unrouted = append(r.unrouted, s)
	select {
	case r.routing <- struct{}{}:
	default:
	}
}

// retry hands a stream to the router after its backoff. mu is held.
func (r *Reader) retry(s *stream, why error) {
	delay := s.backoff()
	r.waiting.enter(r.opts.Logger, s, why)
	r.reroute(s, delay)
}

// fail ends a stream. mu is held.
func (r *Reader) fail(s *stream, err error) {
	s.err, s.inflight = err, false
	r.waiting.leave(s)
	s.signal()
}

// doubt fails a stream if the verdict has stood for a while, and asks again
// otherwise. mu is held.
func (r *Reader) doubt(s *stream, err error) {
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

// runRouter finds the leaders of streams that have none or whose leader refused.
func (r *Reader) runRouter() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, wait := r.dueStreams()
		if len(due) > 0 {
			r.refresh(due)
			continue
		}
		timer.Reset(wait)
		select {
		case <-r.routing:
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// dueStreams takes the unrouted streams whose delay is over, and says when the
// next one's is.
func (r *Reader) dueStreams() (due []*stream, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return nil, time.Hour
	}
	now, wait := time.Now(), time.Hour
	r.unrouted = slices.DeleteFunc(r.unrouted, func(s *stream) bool {
		if s.closed {
			return true
		}
		if d := s.retryAt.Sub(now); d > 0 {
			wait = min(wait, d)
			return false
		}
		due = append(due, s)
		return true
	})
	return due, wait
}

// refresh asks for the leaders of streams and hands them on.
func (r *Reader) refresh(due []*stream) {
	var topics []string
	for _, s := range due {
		if !slices.Contains(topics, s.rg.Topic) {
			topics = append(topics, s.rg.Topic)
		}
	}
	infos, err := describe(r.ctx, r.clients[0], topics)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Refreshes++
	for _, s := range due {
		switch {
		case s.closed || r.ctx.Err() != nil:
		case err != nil:
			r.retry(s, err)
		default:
			r.settle(s, infos)
		}
	}
}

// settle decides where a stream goes on by what the brokers say of its topic. mu
// is held.
func (r *Reader) settle(s *stream, infos map[string]topicInfo) {
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
		delete(r.leaders, s.key())
		r.doubt(s, r.topicError(s, ErrTopicRecreated))
	case !found:
		r.doubt(s, r.topicError(s, fmt.Errorf("%w (it has %d)", ErrUnknownPartition, len(info.partitions))))
	case at.node < 0:
		r.retry(s, errNoLeader)
	default:
		rt := route{info.id, at}
		r.leaders[s.key()] = rt
		r.assign(s, rt)
	}
}

func (r *Reader) topicError(s *stream, err error) error {
	return &TopicError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: s.next, Brokers: r.brokers(), Err: err}
}
