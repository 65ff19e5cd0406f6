package ranges

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Planner learns which partitions topics have and up to where they can be read.
// It belongs to the driver. It has no goroutines of its own beside the client's and,
// once Watch was called, one for each broker; its methods may be called from several
// goroutines and take turns.
type Planner struct {
	opts Options
	what Selection
	cl   *kgo.Client

	mu       sync.Mutex
	known    map[partitionKey]Partition // with the last Until
	leaders  map[partitionKey]leader
	ids      map[string][16]byte
	fresh    time.Time             // of leaders; zero: ask anew
	starts   bool                  // where logs begin was asked for since the leaders were
	listed   time.Time             // when the ends were last asked for
	highs    time.Time             // when the high watermarks were last asked for
	reached  bool                  // a broker has answered once
	planned  bool                  // there was a plan
	earlier  map[partitionKey]bool // of other Planners' plans, see Expect
	doubts   map[doubt]time.Time   // since when
	waiting  outage
	waitsFor *stream // stands for all partitions in waiting

	tail atomic.Pointer[tail] // nil unless Watch was called
}

// doubt is a verdict that may be of one broker alone.
type doubt struct {
	partitionKey      // partition -1 when it is about the whole topic
	end          bool // it is about where the partition ends
}

// listedAge is for how long a Planner that watches the ends takes them from there.
const listedAge = 100 * time.Millisecond

// highAge is for how long a Planner takes the high watermarks for what they were:
// only people see them.
const highAge = 100 * time.Millisecond

// NewPlanner makes a Planner of topics. It connects when first used.
func NewPlanner(o Options, topics ...string) (*Planner, error) {
	return NewPlannerOf(o, Selection{Topics: topics})
}

// NewPlannerOf makes a Planner of what is selected. It connects when first used.
func NewPlannerOf(o Options, what Selection) (*Planner, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := what.check(); err != nil {
		return nil, err
	}
	cl, err := o.client()
	if err != nil {
		return nil, fmt.Errorf("kafka: making a client: %w", err)
	}
	return &Planner{
		opts: o, what: what, cl: cl,
		known:    make(map[partitionKey]Partition),
		leaders:  make(map[partitionKey]leader),
		ids:      make(map[string][16]byte),
		earlier:  make(map[partitionKey]bool),
		doubts:   make(map[doubt]time.Time),
		waiting:  outage{log: o.Logger},
		waitsFor: newStream(Range{Topic: what.String()}),
	}, nil
}

// Expect says which partitions, in which topics, an earlier Planner of the same selection
// has planned: the next plan doesn't leave them out because one broker doesn't name them, and
// waits for their leaders.
func (p *Planner) Expect(before []Range) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range before {
		if p.what.Pattern != nil && !p.what.Pattern.MatchString(r.Topic) {
			continue
		}
		id, known := p.ids[r.Topic]
		if known && id != r.TopicID {
			continue // another topic of that name
		}
		key := partitionKey{r.Topic, r.Partition}
		p.ids[r.Topic], p.earlier[key] = r.TopicID, true
		if _, led := p.leaders[key]; !led {
			p.fresh = time.Time{}
		}
	}
}

// Watch makes the Planner call ready, from the next Plan on until Close, when
// partitions have grown since the last Plan: once, and again after the next one. It
// costs a long poll at each leader. ready is called by goroutines of the Planner and
// must not block. Where the ranges are read in this process, by a Reader with the
// same options, it is given what the polls have read, and they go on until the next Plan
// for as long as it keeps that; else into is nil. A second call does nothing.
func (p *Planner) Watch(ready func(), into *Reader) {
	p.tail.CompareAndSwap(nil, newTail(&p.opts, p.cl, ready, into))
}

// Close ends what Watch began and closes the connections.
func (p *Planner) Close() {
	if t := p.tail.Load(); t != nil {
		t.close()
	}
	p.cl.Close()
}

// Plan returns all partitions by topic and number, as of now. It costs one
// ListOffsets round trip to each leader, a second one for the high watermarks at
// most every 100 ms, and every Options.MetadataAge a Metadata round trip and a ListOffsets one for
// where logs begin: a partition that was added, or a new topic that a pattern matches, is found by
// the next of these at which it has a leader. Just after Watch
// told that partitions have grown it needs the first of them only every 100 ms, too.
//
// The first Plan fails with a NoBrokerError when no broker answers within
// Options.ConnectTimeout. Later ones wait for the brokers to come back, say so
// in the log, and end only with ctx. A topic that does not exist, or is another
// one than in the first Plan, is a TopicError; one whose log ends before where it
// ended in the last Plan is an EndError.
func (p *Planner) Plan(ctx context.Context) ([]Partition, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := time.Now()
	for {
		ps, err := p.attempt(ctx, began)
		var waits *retryError
		switch {
		case err == nil:
			p.waiting.over(p.waitsFor)
			p.waitsFor.progress()
			clear(p.doubts)
			p.planned = true
			if t := p.tail.Load(); t != nil {
				t.planned(ps, p.leaders)
			}
			return ps, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("planning %s: %w", p.what, context.Cause(ctx))
		case !errors.As(err, &waits):
			return nil, err
		}
		p.fresh = time.Time{}
		delay := p.waitsFor.backoff()
		p.waitFor(waits.err, time.Since(began))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// waitFor says what a plan has waited for, unless the next attempt may well be the last.
func (p *Planner) waitFor(why error, waited time.Duration) {
	if !p.reached || len(p.doubts) > 0 && waited < 2*confirmAfter {
		return
	}
	p.waiting.enter(p.waitsFor, why)
	if p.opts.Waiting != nil && p.waitsFor.waiting {
		p.opts.Waiting(why)
	}
}

// retryError says that the attempt may succeed when it is made again.
type retryError struct{ err error }

func (e *retryError) Error() string { return e.err.Error() }

// attempt asks once.
func (p *Planner) attempt(ctx context.Context, began time.Time) ([]Partition, error) {
	if time.Since(p.fresh) > p.opts.MetadataAge {
		if err := p.refresh(ctx, began); err != nil {
			return nil, err
		}
	}
	first := listFromAll(ctx, p.cl, p.opts.ReadUncommitted, p.queries(atStart))
	p.starts = true
	last, ok := p.watchedEnds()
	if !ok {
		last, p.listed = listFromAll(ctx, p.cl, p.opts.ReadUncommitted, p.queries(atEnd)), time.Now()
	}
	highs := p.highWatermarks(ctx)
	ps := make([]Partition, 0, len(p.leaders))
	for key, at := range p.leaders {
		part, ok := p.known[key]
		end, start := last[key], first[key]
		if ok { // a later one is as good
			start = offsetAnswer{offset: max(start.offset, part.Start)}
		}
		if err := cmp.Or(start.err, end.err); err != nil {
			return nil, p.failure(key, err)
		}
		if end.offset < part.Until {
			return nil, p.confirm(doubt{key, true}, &EndError{Topic: key.topic, Partition: key.partition, Next: part.Until, Until: part.Until, End: end.offset})
		}
		part = Partition{Topic: key.topic, TopicID: p.ids[key.topic], Partition: key.partition, LeaderEpoch: at.epoch, Start: start.offset, Until: end.offset, High: max(part.High, end.offset), Stuck: part.Stuck}
		if high, ok := highs[key]; ok && high.err == nil { // else the plan is as good without it
			part.High = max(high.offset, end.offset)
		}
		switch moved := !ok || end.offset > p.known[key].Until; {
		case part.High == part.Until:
			part.Stuck = time.Time{}
		case moved || part.Stuck.IsZero():
			part.Stuck = time.Now()
		}
		ps = append(ps, part)
	}
	for _, part := range ps {
		p.known[partitionKey{part.Topic, part.Partition}] = part
	}
	slices.SortFunc(ps, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return ps, nil
}

// queries returns what to ask the leaders: where all partitions end, or where those begin that
// weren't planned yet, and just after the leaders were asked for all.
func (p *Planner) queries(timestamp int64) map[int32][]offsetQuery {
	byNode := make(map[int32][]offsetQuery)
	for key, at := range p.leaders {
		if _, known := p.known[key]; timestamp == atEnd || !known || !p.starts {
			byNode[at.node] = append(byNode[at.node], offsetQuery{key.topic, key.partition, at.epoch, timestamp})
		}
	}
	return byNode
}

// watchedEnds returns the ends of all partitions that have leaders, if they are
// known without asking for them.
func (p *Planner) watchedEnds() (map[partitionKey]offsetAnswer, bool) {
	t := p.tail.Load()
	if t == nil || time.Since(p.listed) >= listedAge {
		return nil, false
	}
	ends, ok := t.ends()
	for key := range p.leaders {
		if _, known := ends[key]; !known {
			return nil, false
		}
	}
	return ends, ok
}

// highWatermarks asks for them unless that was done just now, or they are what is
// planned anyway.
func (p *Planner) highWatermarks(ctx context.Context) map[partitionKey]offsetAnswer {
	if p.opts.ReadUncommitted || time.Since(p.highs) < highAge {
		return nil
	}
	p.highs = time.Now()
	return listFromAll(ctx, p.cl, true, p.queries(atEnd))
}

// failure sorts a ListOffsets error.
func (p *Planner) failure(key partitionKey, err error) error {
	if isFatal(err) {
		return &TopicError{Topic: key.topic, Partition: key.partition, Offset: -1, Brokers: p.opts.addresses(), Err: err}
	}
	return &retryError{fmt.Errorf("listing offsets of topic %s partition %d: %w", key.topic, key.partition, err)}
}

// confirm returns a verdict as final once it has stood for a while.
func (p *Planner) confirm(about doubt, verdict error) error {
	since, ok := p.doubts[about]
	if !ok {
		since = time.Now()
		p.doubts[about] = since
	}
	if time.Since(since) >= confirmAfter {
		delete(p.doubts, about)
		return verdict
	}
	return &retryError{verdict}
}

// refresh asks for ids and leaders. It looks at all topics, so that all that are in doubt are at
// the same time.
func (p *Planner) refresh(ctx context.Context, began time.Time) error {
	infos, err := p.describe(ctx)
	if err != nil {
		if !p.reached && time.Since(began) >= min(p.opts.ConnectTimeout, confirmAfter) && (refused(err) || Refusal(err) || time.Since(began) >= p.opts.ConnectTimeout) {
			return &NoBrokerError{Brokers: p.opts.Brokers, Err: err}
		}
		return &retryError{err}
	}
	p.reached = true
	leaders := make(map[partitionKey]leader)
	var waits error
	for _, topic := range p.what.of(infos, p.ids) {
		info, ok := infos[topic]
		if !ok {
			info.err = ErrUnknownTopic
		}
		err := p.learn(topic, info, leaders)
		if _, again := errors.AsType[*retryError](err); err != nil && !again {
			return err
		}
		waits = cmp.Or(waits, err)
	}
	if err := cmp.Or(waits, p.missing(infos)); err != nil {
		return err
	}
	p.leaders, p.fresh, p.starts = leaders, time.Now(), false
	return nil
}

// describe asks any broker for the topics that may be selected. Those that were planned and
// aren't among all that it lists it asks for by name: a list leaves out topics that the client
// may not see.
func (p *Planner) describe(ctx context.Context) (map[string]topicInfo, error) {
	infos, err := p.what.describe(ctx, p.cl)
	if err != nil || p.what.Pattern == nil {
		return infos, err
	}
	var missing []string
	for topic := range p.ids {
		if _, ok := infos[topic]; !ok {
			missing = append(missing, topic)
		}
	}
	if len(missing) == 0 {
		return infos, nil
	}
	slices.Sort(missing)
	named, err := describe(ctx, p.cl, missing)
	maps.Copy(infos, named)
	return infos, err
}

// learn takes in what brokers say of a topic, and adds who leads its partitions.
func (p *Planner) learn(topic string, info topicInfo, leaders map[partitionKey]leader) error {
	id, seen := p.ids[topic]
	verdict := info.err
	switch {
	case seen && errors.Is(info.err, ErrUnknownTopic):
		verdict = ErrTopicDeleted
	case seen && info.err == nil && id != info.id:
		verdict = ErrTopicRecreated
	case !seen && p.planned && info.err != nil && !isFatal(info.err):
		return nil // it is being made, and joins later
	}
	partitions, number := info.partitions, int32(-1)
	if verdict == nil {
		partitions, number, verdict = p.what.partitions(topic, info)
		if verdict != nil && p.had(partitionKey{topic, number}) {
			verdict = notAmong(info, ErrPartitionGone)
		}
	}
	about := doubt{partitionKey{topic, -1}, false}
	if verdict != nil {
		err := &TopicError{Topic: topic, Partition: number, Offset: -1, Brokers: p.opts.addresses(), Err: verdict}
		said, ofBroker := errors.AsType[*kerr.Error](verdict)
		switch {
		case ofBroker && !said.Retriable && !seen:
			return err
		case ofBroker && said.Retriable && seen: // it can't tell now
			return &retryError{err}
		}
		sure := p.confirm(about, err)
		if p.what.Forget && seen && sure == error(err) && (errors.Is(verdict, ErrTopicDeleted) || errors.Is(verdict, ErrTopicRecreated)) {
			if p.forget(topic); info.err != nil {
				return nil
			}
			return p.learn(topic, info, leaders)
		}
		return sure
	}
	delete(p.doubts, about)
	for n, at := range partitions {
		key := partitionKey{topic, n}
		switch {
		case at.node >= 0:
			leaders[key], p.ids[topic] = at, info.id
		case p.had(key) || !p.planned: // else it joins later
			return &retryError{fmt.Errorf("topic %s partition %d: %w", topic, n, errNoLeader)}
		}
	}
	return nil
}

// had reports whether a partition was planned before, by this Planner or an earlier one.
func (p *Planner) had(key partitionKey) bool {
	_, known := p.known[key]
	return known || p.earlier[key]
}

// missing reports partitions that were planned before and that their topics don't have: a topic
// loses none, so that a broker doesn't know all of them yet.
func (p *Planner) missing(infos map[string]topicInfo) error {
	var waits error
	for _, planned := range []iter.Seq[partitionKey]{maps.Keys(p.known), maps.Keys(p.earlier)} {
		for key := range planned {
			info, ok := infos[key.topic]
			if _, there := info.partitions[key.partition]; there || !ok || info.err != nil || info.id != p.ids[key.topic] {
				continue
			}
			err := p.confirm(doubt{key, false}, &TopicError{Topic: key.topic, Partition: key.partition, Offset: -1, Brokers: p.opts.addresses(),
				Err: notAmong(info, ErrPartitionGone)})
			if _, again := errors.AsType[*retryError](err); !again {
				return err
			}
			waits = err
		}
	}
	return waits
}

// forget makes a topic one that was never planned.
func (p *Planner) forget(topic string) {
	delete(p.ids, topic)
	maps.DeleteFunc(p.known, func(key partitionKey, _ Partition) bool { return key.topic == topic })
	maps.DeleteFunc(p.earlier, func(key partitionKey, _ bool) bool { return key.topic == topic })
}
