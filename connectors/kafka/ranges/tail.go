package ranges

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tail tells that partitions have grown since they were planned: a long poll at the
// ends of those of each broker. Where a poll fails that is told, too, after a while:
// the plan that comes then finds out who leads them now.
//
// THREADING: each broker's watcher has a goroutine, which ends with close. mu guards
// watchers, and that no goroutine is started after close; of other locks only a
// watcher's is taken meanwhile.
type tail struct {
	opts   *Options
	cl     *kgo.Client
	ready  func()
	into   *Reader // is given what polls have read; nil for nobody
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	watchers map[int32]*watcher // by broker
}

// pollWait is how long a broker may keep a poll that has nothing to tell.
const pollWait = 500 * time.Millisecond

// pollBytes is how much of a partition a poll asks for that is kept: more than that is
// read by tasks, beside each other.
const pollBytes = 64 << 10

// pollPause is how long a watcher waits after a poll that failed, or that ended
// early and told nothing.
const pollPause = 100 * time.Millisecond

func newTail(o *Options, cl *kgo.Client, ready func(), into *Reader) *tail {
	t := &tail{opts: o, cl: cl, ready: ready, into: into, watchers: make(map[int32]*watcher)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// close ends the polls and waits for the goroutines.
func (t *tail) close() {
	t.mu.Lock()
	t.cancel()
	t.mu.Unlock()
	t.work.Wait()
}

// planned takes in the partitions of a plan, and who leads them.
func (t *tail) planned(ps []Partition, leaders map[partitionKey]leader) {
	led := make(map[int32][]watched)
	for _, p := range ps {
		at := leaders[partitionKey{p.Topic, p.Partition}]
		led[at.node] = append(led[at.node], watched{p.Topic, p.TopicID, p.Partition, at.epoch, p.Until, p.Until})
	}
	for node, w := range t.watchersOf(led) {
		w.watch(led[node])
	}
}

// watchersOf returns all watchers, with those of the brokers that lead something; none after close.
func (t *tail) watchersOf(led map[int32][]watched) map[int32]*watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return nil
	}
	for node := range led {
		if t.watchers[node] == nil {
			w := &watcher{tail: t, node: node, wake: make(chan struct{}, 1)}
			t.watchers[node] = w
			t.work.Go(w.run)
		}
	}
	return maps.Clone(t.watchers)
}

// ends returns where the partitions of the newest plan end, if the newest of that
// was told just now, or what comes is awaited: partitions whose brokers told nothing end
// where they did.
func (t *tail) ends() (ends map[partitionKey]offsetAnswer, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ends = make(map[partitionKey]offsetAnswer)
	for _, w := range t.watchers {
		fresh, whole := w.ends(ends)
		if !whole {
			return nil, false
		}
		ok = ok || fresh
	}
	return ends, ok
}

// freshFor is for how long what a poll has told is as good as asking: what comes
// meanwhile, while a batch runs, is to be planned too.
const freshFor = time.Millisecond

// watched is a partition and the end that is known of it.
type watched struct {
	topic     string
	id        [16]byte
	partition int32
	epoch     int32
	end       int64 // of the newest plan
	grown     int64 // the end that was told since, or end
}

// watcher polls one broker. Between the poll that found something and the plan that holds
// it, which waits for a batch that runs, it goes on as long as what it finds is kept for who
// reads it: then the plan, and the tasks, need not ask.
type watcher struct {
	*tail
	node    int32
	wake    chan struct{} // holds a token when there was a plan
	session session

	mu    sync.Mutex
	parts []watched // as of the newest plan
	told  time.Time // when the newest was told that the last plan doesn't hold, zero if it holds all
	fails bool      // the newest poll has failed
	ahead bool      // all that was found since the last plan is kept
	polls bool      // a poll is under way from where the partitions are known to end
}

// watch goes on from the ends of a plan. What polls have found since it was made is told
// at once.
func (w *watcher) watch(parts []watched) {
	w.mu.Lock()
	w.told = time.Time{}
	known := finder{parts: w.parts}
	for i := range parts {
		now := &parts[i]
		if before := known.find(now.same); before != nil && w.ahead && now.end < before.grown {
			now.grown, w.told = before.grown, time.Now()
		}
	}
	w.parts = parts
	told := !w.told.IsZero()
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	if told {
		w.ready()
	}
}

// run polls until the tail is closed.
func (w *watcher) run() {
	for w.ctx.Err() == nil {
		parts := w.due()
		if len(parts) == 0 {
			select {
			case <-w.wake:
			case <-w.ctx.Done():
			}
			continue
		}
		began := time.Now()
		ends, kept, err := w.poll(parts)
		if w.ctx.Err() != nil {
			return
		}
		newer := news(parts, ends)
		grown, failed := w.learn(parts, ends, kept, err)
		if !grown && (failed || !newer && time.Since(began) < pollWait/2) && w.pause() {
			continue
		}
		if grown || failed {
			w.tell()
		}
	}
}

// news reports whether a poll's answer says more than was known when it was asked for. A plan
// may have found the same meanwhile.
func news(asked []watched, ends map[partitionKey]int64) bool {
	return slices.ContainsFunc(asked, func(p watched) bool {
		return ends[partitionKey{p.topic, p.partition}] > p.grown
	})
}

// tell makes the next plan come, unless it was told to.
func (w *watcher) tell() {
	w.mu.Lock()
	comes := !w.told.IsZero()
	w.told = time.Now()
	w.mu.Unlock()
	if !comes {
		w.ready()
	}
}

// due returns what is to be polled, nil if the next plan is to come first.
func (w *watcher) due() []watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polls = w.told.IsZero() || w.ahead
	if !w.polls {
		return nil
	}
	return w.parts
}

// ends adds where the partitions end. fresh says that one of them was told just now, and the
// next is awaited or would have come only since; whole that the broker answers.
func (w *watcher) ends(into map[partitionKey]offsetAnswer) (fresh, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		into[partitionKey{p.topic, p.partition}] = offsetAnswer{offset: p.grown}
	}
	return !w.told.IsZero() && (w.polls || time.Since(w.told) < freshFor), !w.fails || len(w.parts) == 0
}

// learn takes in the ends that a poll found of the partitions that it asked for, and whether
// all that it found is kept. It reports whether one is beyond what was known, and whether one is
// missing. The newest plan may have come meanwhile: of what it added, or another leader leads
// since, the poll says nothing.
func (w *watcher) learn(asked []watched, ends map[partitionKey]int64, kept bool, err error) (grown, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails, w.polls = false, false
	polled := finder{parts: asked}
	for i := range w.parts {
		p := &w.parts[i]
		if polled.find(p.same) == nil {
			continue // the next poll asks for it
		}
		end, ok := ends[partitionKey{p.topic, p.partition}]
		w.fails = w.fails || err != nil || !ok
		if ok {
			grown = grown || end > p.grown
			p.grown = max(p.end, end) // a broker may have lost what it told of
		}
	}
	w.ahead = kept && !w.fails
	return grown, w.fails
}

// pause waits until polling again makes sense. It reports whether a plan has come meanwhile, which
// found out itself what was to be told.
func (w *watcher) pause() (planned bool) {
	select {
	case <-w.wake: // of a plan before
	default:
	}
	select {
	case <-time.After(pollPause):
	case <-w.ctx.Done():
	}
	select {
	case <-w.wake:
		return true
	default:
		return false
	}
}

// poll waits until one of the partitions has grown, or pollWait, and returns where
// they end, and whether all that it read up to there is kept.
func (w *watcher) poll(parts []watched) (ends map[partitionKey]int64, kept bool, err error) {
	resp, err := w.fetch(parts)
	if err != nil {
		return nil, false, err
	}
	kept = w.into != nil
	_, total := answers(nil, resp)
	asked := finder{parts: parts}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			part := asked.find(func(a *watched) bool { return a.answeredBy(&t, p.Partition) })
			if part == nil {
				continue
			}
			key := partitionKey{part.topic, p.Partition}
			if kerr.ErrorForCode(p.ErrorCode) != nil { // the next plan finds out
				delete(w.session.ends, key)
				w.session.reset()
				continue
			}
			end := p.HighWatermark
			if !w.opts.ReadUncommitted && p.LastStableOffset >= 0 {
				end = p.LastStableOffset
			}
			w.session.ends[key] = end
			if w.into != nil && end > part.grown {
				whole := w.into.offer(Range{Topic: part.topic, TopicID: part.id, Partition: part.partition, LeaderEpoch: part.epoch, From: part.grown, Until: end}, &p, total)
				kept = kept && whole
			}
		}
	}
	return w.session.ends, kept, nil
}

// fetch sends a poll and returns the answer. A session that the broker has ended begins anew.
func (w *watcher) fetch(parts []watched) (*kmsg.FetchResponse, error) {
	for {
		res, err := w.cl.Broker(int(w.node)).Request(w.ctx, w.request(parts))
		if err != nil {
			w.session.reset()
			return nil, err
		}
		resp := res.(*kmsg.FetchResponse)
		err = kerr.ErrorForCode(resp.ErrorCode)
		if err == nil {
			w.session.answered(resp.SessionID)
			return resp, nil
		}
		begun := w.session.begun()
		w.session.reset()
		if !begun {
			return nil, err
		}
	}
}

// request returns a poll of the partitions. Where nobody is given the records it asks for as
// little as a broker will send, which is one batch of them all the same.
func (w *watcher) request(parts []watched) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	most := int32(1)
	if w.into != nil {
		most = pollBytes
	}
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, int32(pollWait.Milliseconds()), 1, maxResponse
	if !w.opts.ReadUncommitted {
		req.IsolationLevel = 1
	}
	for _, part := range w.session.ask(parts) {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != part.topic {
			rt := kmsg.NewFetchRequestTopic()
			rt.Topic, rt.TopicID = part.topic, part.id
			req.Topics = append(req.Topics, rt)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = part.partition, part.grown, part.epoch, most
		rt := &req.Topics[len(req.Topics)-1]
		rt.Partitions = append(rt.Partitions, p)
	}
	req.SessionID, req.SessionEpoch = w.session.id, w.session.epoch
	return req
}

// finder looks for partitions among others. They are mostly asked for in the order in which they
// lie there, so each is looked for behind the one that was found before.
type finder struct {
	parts []watched
	next  int
}

// find returns the partition that is meant, nil if it isn't there.
func (f *finder) find(is func(*watched) bool) *watched {
	for i := range f.parts {
		at := (f.next + i) % len(f.parts)
		if is(&f.parts[at]) {
			f.next = at + 1
			return &f.parts[at]
		}
	}
	return nil
}

// same reports whether a is the same partition under the same leader.
func (p *watched) same(a *watched) bool {
	return p.partition == a.partition && p.epoch == a.epoch && p.id == a.id && p.topic == a.topic
}

// answeredBy reports whether an answer about a partition is about this one. Newer versions know
// topics by their ids, older ones by their names.
func (p *watched) answeredBy(t *kmsg.FetchResponseTopic, partition int32) bool {
	return p.partition == partition && (t.Topic == p.topic || t.Topic == "" && t.TopicID == p.id)
}
