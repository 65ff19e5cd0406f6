package kafka

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/task"
)

// planner plans a direct stream's batches: each begins where the one before it
// ended.
type planner struct {
	source  *ranges.Planner
	brokers string
	topics  Topics
	forget  bool    // deleted topics
	lost    *badLog // of records that were deleted before they were planned, nil if they aren't to be left out
	log     *slog.Logger
	begin   func(context.Context) (map[topicPartition]int64, error)
	first   map[topicPartition]int64 // where a job's first batch begins, as begin says
	mirror  *mirror                  // nil for none
	plans   *codec                   // of the stream's batches
	limits  limits
	credit  map[topicPartition]float64 // fractions of records that the limits left over
	waiting func(why string)           // of the plan that is being made; may be nil
	ends    map[topicPartition]int64   // beyond which nothing is planned, nil if there are none
	reader  func(*task.Process) (*ranges.Reader, error)
	beside  *ranges.Reader // of the tasks, if they run in this process
	goes    bool           // on from the batch before: there was a plan
	pace    *pace          // of what Notify tells, nil if there is no limit, or nobody to tell
}

// Beside lets tasks read what the planner has read while it waited.
func (p *planner) Beside(process *task.Process) {
	p.beside, _ = p.reader(process) // what is wrong a task reports
}

// Notify makes the planner tell when there is something to plan, and the limit of the rate
// lets it in.
func (p *planner) Notify(ready func()) {
	if p.limits.maxRate > 0 {
		p.pace = newPace(p.limits.maxRate, ready)
		ready = p.pace.more
	}
	p.source.Watch(ready, p.beside)
}

// UntilEnd makes the partitions' ends of now the last ones. Of partitions that are
// added later nothing is read.
func (p *planner) UntilEnd(ctx context.Context) error {
	parts, err := p.source.Plan(ctx)
	if err != nil {
		return err
	}
	p.ends = make(map[topicPartition]int64, len(parts))
	for _, part := range parts {
		p.ends[keyOf(part)] = part.Until
	}
	return nil
}

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// Plan returns the ranges of the next batch. While no broker answers it waits,
// and says so in the log.
func (p *planner) Plan(ctx context.Context, req engine.PlanRequest) (engine.Plan, error) {
	p.waiting = req.Waiting
	if p.pace != nil {
		p.pace.planning()
	}
	parts, err := p.partitions(ctx, req.Previous)
	if err != nil {
		return engine.Plan{}, err
	}
	if len(req.Previous) == 0 {
		if p.first, err = p.begin(ctx); err != nil {
			return engine.Plan{}, err
		}
	}
	return p.plan(parts, req)
}

// partitions returns what there is to read. The first time it sees to it that what the batch
// before read, which another planner may have made, is there: not to be listed by the first
// broker that answers doesn't mean that it is gone, or new.
func (p *planner) partitions(ctx context.Context, previous []byte) ([]ranges.Partition, error) {
	if p.goes {
		return p.source.Plan(ctx)
	}
	before, err := p.plans.decode(previous)
	if err != nil {
		return nil, fmt.Errorf("the ranges of the batch before: %w", err)
	}
	p.source.Expect(before.all)
	parts, err := p.source.Plan(ctx)
	if err != nil {
		return nil, err
	}
	p.goes = true
	read := make(map[topicPartition]bool, len(before.all))
	for _, r := range before.all {
		read[topicPartition{r.Topic, r.Partition}] = true
	}
	for _, part := range parts {
		if _, ends := p.ends[keyOf(part)]; p.ends != nil && !ends && read[keyOf(part)] {
			p.ends[keyOf(part)] = part.Until
		}
	}
	return parts, nil
}

// waits takes what a plan waits for.
func (p *planner) waits(why error) {
	if p.waiting != nil {
		p.waiting("Kafka at " + p.brokers + " doesn't answer as it should, nothing is skipped: " + why.Error())
	}
}

// plan returns the batch's ranges of partitions as they are now.
func (p *planner) plan(parts []ranges.Partition, req engine.PlanRequest) (engine.Plan, error) {
	previous, err := p.plans.decode(req.Previous)
	if err != nil {
		return engine.Plan{}, fmt.Errorf("the ranges of the batch before: %w", err)
	}
	if len(req.Previous) > 0 { // the job has begun, even if it has read no partition yet
		p.first = nil
	}
	rs, err := p.next(parts, previous.all)
	if err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Ended: p.ends != nil, Lags: make([]engine.Lag, len(rs))}
	if p.credit == nil {
		p.credit = make(map[topicPartition]float64)
	}
	if p.ends != nil {
		for i, r := range rs { // one that runs backwards has nothing to read, now or later
			rs[i].Until = min(r.Until, max(r.From, p.ends[topicPartition{r.Topic, r.Partition}]))
		}
	}
	plan.Lost = p.skipDeleted(rs, parts)
	seconds, more := req.Elapsed.Seconds(), false
	most := p.limits.most(rs, seconds, p.credit)
	p.limits.apply(rs, req.Budget, seconds, p.credit)
	for i, r := range rs {
		plan.Records += r.Len()
		high, until := parts[i].High, parts[i].Until
		if p.ends != nil {
			until = p.ends[topicPartition{r.Topic, r.Partition}]
			high = until
			plan.Ended = plan.Ended && r.Until >= until
		}
		beyond := max(0, high-max(r.From, r.Until))
		more = more || until > max(r.From, r.Until)
		plan.Backlog += beyond
		plan.Lags[i] = engine.Lag{Topic: r.Topic, Partition: r.Partition, Records: beyond}
		plan.Blocked += beyond - min(beyond, most[i]-r.Len())
	}
	if p.pace != nil {
		plan.Pace = p.pace.gap
		if more {
			p.pace.more()
		}
	}
	plan.Held, plan.HeldSince = held(parts, rs, time.Now())
	if len(parts) == 0 {
		plan.Held = fmt.Sprintf("no topic at %s is named like %s, or none that the client may see: waiting for one", p.brokers, p.topics)
	}
	plan.Ranges, err = p.plans.encode(rs, p.beside != nil)
	return plan, err
}

// skipDeleted makes ranges begin where their partitions do, if the stream is to go on without
// what is deleted, and returns how many offsets are left out so. Were they planned, they would
// count as records that cost nothing.
func (p *planner) skipDeleted(rs []ranges.Range, parts []ranges.Partition) (lost int64) {
	if p.lost == nil {
		return 0
	}
	for i, r := range rs {
		start := parts[i].Start
		n := min(start, r.Until) - r.From
		if n <= 0 {
			continue
		}
		p.lost.note(time.Now(), badRecord{Record: &Record{Topic: r.Topic, Partition: r.Partition, Offset: r.From}, records: n,
			cause: &ranges.LostError{Topic: r.Topic, Partition: r.Partition, Next: r.From, Start: start}})
		rs[i].From += n
		lost += n
	}
	return lost
}

// checkStarts reports offsets at which a stream is to begin, and that are deleted.
func checkStarts(first map[topicPartition]int64, parts []ranges.Partition) error {
	for _, part := range parts {
		if from, ok := first[keyOf(part)]; ok && from < part.Start {
			return fmt.Errorf("topic %s partition %d is to begin at offset %d, but the records before %d are deleted; give an offset from there on, or leave the partition out to begin with its oldest record",
				part.Topic, part.Partition, from, part.Start)
		}
	}
	return nil
}

// heldAfter is for how long a partition's end may stand still, below records that
// are there, before that is worth a word: transactions are open for a while.
const heldAfter = 5 * time.Second

// held says what keeps back records of partitions that are read up to their ends,
// and since when, if that is known.
func held(parts []ranges.Partition, rs []ranges.Range, now time.Time) (first string, since time.Time) {
	others := 0
	for i, r := range rs {
		why := ""
		switch part := parts[i]; {
		case r.From > r.Until:
			why = fmt.Sprintf("topic %s partition %d is to be read from offset %d, and its end is %d: waiting for the records before it", r.Topic, r.Partition, r.From, part.Until)
		case r.Until == part.Until && !part.Stuck.IsZero() && now.Sub(part.Stuck) >= heldAfter:
			why = fmt.Sprintf("topic %s partition %d can't be read past offset %d, of %d, since %s: a transaction that begins there is still open; its producer must end it or time out (kafka-transactions.sh find-hanging finds one left behind)",
				r.Topic, r.Partition, part.Until, part.High, part.Stuck.UTC().Format(time.RFC3339))
			if since.IsZero() || part.Stuck.Before(since) {
				since = part.Stuck
			}
		default:
			continue
		}
		if first == "" {
			first = why
		} else {
			others++
		}
	}
	if others > 0 {
		first += fmt.Sprintf("; and %d other partitions", others)
	}
	return first, since
}

// next returns everything there is beyond the previous ranges, by partition in
// the order of parts. A range of a partition that doesn't reach yet to where the
// job is to begin runs backwards, from that offset until the partition's end, and
// reads nothing: so it says for the batch after it that this is still awaited.
func (p *planner) next(parts []ranges.Partition, previous []ranges.Range) ([]ranges.Range, error) {
	before := make(map[topicPartition]ranges.Range, len(previous))
	for _, r := range previous {
		before[topicPartition{r.Topic, r.Partition}] = r
	}
	rs := make([]ranges.Range, len(parts))
	for i, part := range parts {
		key := keyOf(part)
		last, ok := before[key]
		delete(before, key)
		switch {
		case !ok:
			from, atStart := p.first[key]
			if !atStart || len(previous) > 0 { // the partition is new to the job: it is read whole
				from = part.Start
			}
			rs[i] = part.Range(from)
		case last.TopicID != part.TopicID && p.forget:
			before[key], rs[i] = last, part.Range(part.Start)
		case last.TopicID != part.TopicID:
			return nil, &ranges.TopicError{Topic: part.Topic, Partition: part.Partition, Offset: last.Until, Brokers: p.brokers, Err: ranges.ErrTopicRecreated}
		case last.From > last.Until:
			rs[i] = part.Range(last.From)
		case last.Until > part.Until:
			return nil, &ranges.EndError{Topic: part.Topic, Partition: part.Partition, Next: last.Until, Until: last.Until, End: part.Until}
		default:
			rs[i] = part.Range(last.Until)
		}
	}
	switch {
	case p.forget:
		p.leave(before)
	case len(before) > 0:
		gone := slices.SortedFunc(maps.Keys(before), func(a, b topicPartition) int {
			return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
		})[0]
		err := ranges.ErrPartitionGone
		if !slices.ContainsFunc(parts, func(part ranges.Partition) bool { return part.Topic == gone.topic }) {
			err = ranges.ErrTopicDeleted
		}
		return nil, &ranges.TopicError{Topic: gone.topic, Partition: gone.partition, Offset: before[gone].Until, Brokers: p.brokers, Err: err}
	}
	return rs, nil
}

// leave says that partitions, with their last ranges, aren't read any more.
func (p *planner) leave(gone map[topicPartition]ranges.Range) {
	read := make(map[string][]string)
	for key, r := range gone {
		delete(p.ends, key) // the end of a topic that is made again lies elsewhere
		delete(p.credit, key)
		read[key.topic] = append(read[key.topic], fmt.Sprintf("%d until %d", key.partition, r.Until))
	}
	for _, topic := range slices.Sorted(maps.Keys(read)) {
		slices.Sort(read[topic])
		p.log.Warn("kafka: a topic was deleted, what of it isn't read is lost", "topic", topic, "partitions_read", strings.Join(read[topic], ", "))
	}
}

// Completed tells the mirror: what was read the batch log knows.
func (p *planner) Completed(_ context.Context, encoded []byte) error {
	if p.mirror == nil {
		return nil
	}
	plan, err := p.plans.decode(encoded)
	if err == nil {
		p.mirror.complete(plan.all)
	}
	return err
}

// Close closes the planner's connections.
func (p *planner) Close() error {
	if p.mirror != nil {
		p.mirror.close()
	}
	p.source.Close()
	if p.lost != nil {
		p.lost.close()
	}
	if p.pace != nil {
		p.pace.close()
	}
	return nil
}
