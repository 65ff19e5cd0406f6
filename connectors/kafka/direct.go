package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Record is one record as it lies in Kafka. Its bytes alias the response it came
// in: what outlives a batch must be cloned.
type Record = ranges.Record

// DirectOption configures a direct stream.
type DirectOption interface{ ofDirect(o *directOptions) }

type directOptions struct {
	start  Position
	bad    BadRecords
	mirror *string // the group, nil for none
	forget bool    // topics that are deleted

	skipLost bool // records that retention has deleted
}

// StartFrom sets where a job's first batch begins; the default is [Earliest]. A
// job that goes on from a checkpoint begins where that ended, and a partition
// that is added later is read whole.
func StartFrom(p Position) DirectOption { return startFrom(p) }

type startFrom Position

func (s startFrom) ofDirect(o *directOptions) { o.start = Position(s) }

// SkipLost lets a stream go on at the oldest record that is left where the topic's retention has
// deleted records before they were read, which else fails the job. Their offsets are counted among the bad
// records of the batch's metrics, there also as lost, and the log says where they were: at once, then
// every 30 s at most. The driver looks where logs begin every streaming.kafka.metadataMaxAge, and plans
// nothing before; what is deleted later a task finds. Backpressure learns nothing of such a batch.
//
// It holds too where records are read once more: after a failure a state is computed again from
// the batches since its newest checkpoint, and a window from those that it spans. What retention
// has deleted of them meanwhile is missing there although those batches had read it, so that
// the state or the window comes out smaller: let the topic keep records for longer than the
// longest window, and than a job may stand still.
func SkipLost() DirectOption { return skipLost{} }

type skipLost struct{}

func (skipLost) ofDirect(o *directOptions) { o.skipLost = true }

// ReadOption configures whatever reads a topic.
type ReadOption interface {
	DirectOption
	RangeOption
}

// OnBadRecord sets what becomes of records that the decoder refuses; the
// default is [Fail].
func OnBadRecord(p BadRecords) ReadOption { return onBadRecord(p) }

type onBadRecord BadRecords

func (p onBadRecord) ofDirect(o *directOptions) { o.bad = BadRecords(p) }
func (p onBadRecord) ofRange(o *rangeOptions)   { o.bad = BadRecords(p) }

// Direct declares a stream that reads Kafka topics, one partition of each batch
// for each topic partition, or, in local mode as soon as possible (--asap), for each
// that has records. decode runs on executors. What a batch holds is
// bounded by the stream's backpressure and by streaming.kafka.maxRatePerPartition.
func Direct[T any](ssc *engine.StreamingContext, topics Topics, decode Decoder[T], opts ...DirectOption) *engine.DStream[T] {
	op := fmt.Sprintf("kafka.Direct(%s)", topics)
	var o directOptions
	for _, opt := range opts {
		if opt == nil {
			ssc.Fail(op, errNilOption)
			continue
		}
		opt.ofDirect(&o)
	}
	d := &direct[T]{
		op: op, topics: topics, brokers: Brokers(ssc), own: isEmbedded(ssc), client: clientOptions(ssc), decode: decode, options: o, site: lineage.Caller(),
		settings: readSettings(ssc), log: ssc.Logger(),
	}
	if err := topics.check(); err != nil {
		ssc.Fail(op, err)
	} else if err := cmp.Or(topics.checkForget(o.forget), o.start.check("the stream", topics), o.bad.check(topics), checkMirror(o.mirror)); err != nil {
		ssc.Fail(op, err)
	}
	if decode == nil {
		ssc.Fail(op, rdd.ErrNilFunction)
	}
	return engine.NewInput(ssc, op, d, decode)
}

// direct is the input of a direct stream; a range reads with it too.
type direct[T any] struct {
	op      string // its name in errors
	ranged  bool   // it reads a Range
	topics  Topics
	brokers []string
	own     bool // they are the embedded broker
	client  *[]kgo.Opt
	decode  Decoder[T]
	site    lineage.Site
	options directOptions
	settings
	log   *slog.Logger
	plans codec
}

// Open connects the planner. It fails if no broker answers, or a topic is unknown
// (that of bad records too). Where the stream is to begin matters to a job's first batch only.
func (d *direct[T]) Open(ctx context.Context) (engine.Planner, error) {
	if err := d.checkLetters(ctx); err != nil {
		return nil, sayEmbedded(d.own, err)
	}
	out := &planner{brokers: strings.Join(d.brokers, ","), topics: d.topics, forget: d.options.forget, log: d.log, plans: &d.plans, limits: d.limits, reader: d.reader}
	if d.options.skipLost {
		out.lost = newUnplannedLog(d.log)
	}
	what := d.topics.selection()
	what.Forget = d.options.forget
	p, err := ranges.NewPlannerOf(ranges.Options{Brokers: d.brokers, Client: *d.client, Logger: d.log, MetadataAge: d.maxAge, Waiting: out.waits}, what)
	if err != nil {
		return nil, err
	}
	parts, err := p.Plan(ctx)
	if err == nil && d.options.mirror != nil {
		out.mirror, err = newMirror(*d.options.mirror, d.producers())
	}
	if err != nil {
		p.Close()
		return nil, sayEmbedded(d.own, err)
	}
	out.source = p
	out.begin = func(ctx context.Context) (map[topicPartition]int64, error) {
		first, err := d.options.start.resolve(ctx, parts, d.producers())
		if err == nil {
			err = checkStarts(first, parts)
		}
		return first, err
	}
	return out, nil
}

// Positions says where the next batch's ranges begin: where a batch's end, or where a partition is
// awaited to reach to.
func (d *direct[T]) Positions(b []byte) ([]engine.Position, error) {
	rs, err := decodeRanges(b)
	all := make([]engine.Position, len(rs))
	for i, r := range rs {
		all[i] = engine.Position{Source: r.Topic, Partition: r.Partition, Next: max(r.From, r.Until)}
	}
	return all, err
}

// checkLetters makes sure that letters about bad records can be written.
func (d *direct[T]) checkLetters(ctx context.Context) error {
	bad := d.options.bad
	if bad.policy != badDeadLetter {
		return nil
	}
	return d.producers().check(ctx, bad.topic, "kafka.DeadLetter")
}

// Generate makes one partition of each range, unless those that are empty are left out.
func (d *direct[T]) Generate(encoded []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	plan, err := d.plans.decode(encoded)
	if err != nil {
		return 0, nil, err
	}
	return len(plan.partitions), func(tc *task.Context, p int) iter.Seq2[T, error] { return d.read(tc, plan.partitions[p]) }, nil
}

// Prefetch begins to fetch what a batch will read of the partitions that this
// process read in the batch before, of all if no other process reads.
func (d *direct[T]) Prefetch(p *task.Process, encoded []byte) (forget func()) {
	plan, err := d.plans.decode(encoded)
	if err != nil {
		return nil // Generate reports it
	}
	r, err := d.reader(p)
	if err != nil {
		return nil // the task reports it
	}
	r.Prefetch(plan.partitions...)
	return func() { r.Forget(plan.partitions...) }
}

// readerKey finds a process's reader of a cluster.
type readerKey struct{ brokers string }

// reader returns the process's reader.
func (d *direct[T]) reader(p *task.Process) (*ranges.Reader, error) {
	r, err := p.Resource(readerKey{strings.Join(d.brokers, ",")}, func() (any, func() error, error) {
		r, err := ranges.New(ranges.Options{Brokers: d.brokers, Client: *d.client, Logger: d.log, MaxBatchBytes: d.maxBatch, Alone: p.Alone})
		if err != nil {
			return nil, nil, err
		}
		return r, func() error { r.Close(); return nil }, nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the reader of %s: %w", strings.Join(d.brokers, ","), err)
	}
	return r.(*ranges.Reader), nil
}

// producers says how to write where the stream reads.
func (d *direct[T]) producers() producers { return producers{d.brokers, d.client, d.log} }

// read yields the decoded records of one range.
func (d *direct[T]) read(tc *task.Context, r ranges.Range) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if r.Len() == 0 {
			return
		}
		var none T
		reader, err := d.reader(tc.Process)
		if err != nil {
			yield(none, err)
			return
		}
		var records, bytes int64
		defer func() { tc.Metrics.RecordsRead += records; tc.Metrics.BytesRead += bytes }()
		bad := func(b badRecord) (goesOn bool) {
			err := d.options.bad.handle(tc, d.producers(), b)
			if err != nil {
				yield(none, d.failed(err))
			}
			return err == nil
		}
		for more := true; more; {
			more = false
			for rec, err := range reader.Read(tc, r) {
				if err != nil {
					if from, ok := d.lost(tc, r, err); ok {
						r.From, more = from, true // an error is the last thing that is read
						break
					}
					large, ok := tooLarge(err)
					if !ok {
						yield(none, d.advised(err))
						return
					}
					if b := ofBatch(large, r); b.records > 0 && !bad(b) {
						return
					}
					r.From, more = large.After, true
					break
				}
				if tc.Killed() {
					yield(none, context.Cause(tc))
					return
				}
				records++
				bytes += int64(len(rec.Key) + len(rec.Value))
				v, err := d.decoded(rec)
				if _, unavailable := errors.AsType[*UnavailableError](err); unavailable {
					yield(none, d.failed(fmt.Errorf("decoding the record in topic %s partition %d at offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)))
					return
				}
				if err != nil {
					if !bad(badRecord{Record: rec, records: 1, cause: err, letter: true}) {
						return
					}
					continue
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

// lost counts the records of a range that were deleted before they were read, if that is
// the error and the stream is to go on. It returns from where.
func (d *direct[T]) lost(tc *task.Context, r ranges.Range, err error) (from int64, ok bool) {
	var next int64 // that was to be read
	lost, retention := errors.AsType[*ranges.LostError](err)
	gone, deleted := errors.AsType[*ranges.TopicError](err)
	switch {
	case retention && d.options.skipLost:
		next, from = lost.Next, min(lost.Start, r.Until)
	case deleted && d.options.forget && (errors.Is(err, ranges.ErrUnknownTopic) || errors.Is(err, ranges.ErrTopicRecreated)):
		next, from = gone.Offset, r.Until
	default:
		return 0, false
	}
	b := badRecord{Record: &Record{Topic: r.Topic, Partition: r.Partition, Offset: next}, records: from - next, cause: err}
	tc.Metrics.BadRecords += b.records
	tc.Metrics.Lost += b.records
	logLost(tc.Process, d.log, b)
	return from, true
}

// advised adds to an error of a stream what else can be done about it.
func (d *direct[T]) advised(err error) error {
	if _, lost := errors.AsType[*ranges.LostError](err); lost && !d.ranged {
		return fmt.Errorf("%w; to go on without these records give the stream kafka.SkipLost, or start a new job (another --checkpoint)", err)
	}
	return err
}

// decoded calls the decoder; its panic is an error like another.
func (d *direct[T]) decoded(rec *Record) (v T, err error) {
	returned := false // recover costs as much as decoding a string
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = lineage.Recovered(p)
		}
	}()
	v, err = d.decode(rec)
	returned = true
	return v, err
}

// failed names the stream in an error that fails a task.
func (d *direct[T]) failed(err error) error {
	if p, ok := errors.AsType[*rdd.PanicError](err); ok {
		p.Op, p.Site = d.op, d.site
		return p
	}
	return &rdd.OpError{Op: d.op, Site: d.site, Err: err}
}
