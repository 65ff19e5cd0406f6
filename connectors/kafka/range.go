package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// RangeOption configures a [Range].
type RangeOption interface{ ofRange(o *rangeOptions) }

type rangeOptions struct {
	bad           BadRecords
	minPartitions int
}

// MinPartitions cuts the ranges of a [Range], so that there are about so many partitions,
// and at least one for each of the topic's: for a topic with fewer than the job has slots.
type MinPartitions int

func (n MinPartitions) ofRange(o *rangeOptions) { o.minPartitions = int(n) }

// Range makes an RDD of a topic's records from one position until another, for batch
// programs (Spark's createRDD): [Earliest], [AtOffsets], [AtTime] or [AtGroup] until [Latest],
// AtOffsets, AtTime or AtGroup, which isn't among them. One partition reads those of each
// partition of the topic; until AtOffsets only those partitions are read that it names.
// decode runs on executors.
//
// The offsets are found out on the driver, as a value of the program, so that every
// process and every attempt reads the same records. Offsets that aren't there, or whose
// records are deleted, are an error of the program: a batch program waits for no records.
// Records of transactions that are open end the range.
func Range[T any](sc *rdd.Context, topic string, from, until Position, decode Decoder[T], opts ...RangeOption) *rdd.RDD[T] {
	op, e := fmt.Sprintf("kafka.Range(%s)", topic), engine.EnvironmentOf(sc)
	var o rangeOptions
	for _, opt := range opts {
		if opt == nil {
			e.Fail(op, errNilOption)
			continue
		}
		opt.ofRange(&o)
	}
	client := slices.Clone(*clientOptions(e)) // later ones are for what is made later
	d := &direct[T]{
		op: op, ranged: true, topics: Subscribe(topic), brokers: Brokers(e), client: &client, decode: decode, site: lineage.Caller(),
		options: directOptions{bad: o.bad}, settings: readSettings(e), log: e.Logger(),
	}
	if err := cmp.Or(checkTopic(topic), checkRange(topic, from, until), o.bad.check(d.topics)); err != nil {
		e.Fail(op, err)
	}
	if decode == nil {
		e.Fail(op, rdd.ErrNilFunction)
	}
	if o.minPartitions < 0 || o.minPartitions > rdd.MaxPartitions {
		e.Fail(op, fmt.Errorf("kafka.MinPartitions(%d): %w", o.minPartitions, rdd.ErrPartitions))
	}
	rs, err := recorded(sc, func(ctx context.Context) ([]ranges.Range, error) { return d.resolve(ctx, from, until) })
	if err != nil && sc.Lineage().Err() == nil {
		e.Fail(op, err)
	}
	rs = split(rs, o.minPartitions)
	return rdd.Source(sc, op, d.site, len(rs), func(tc *task.Context, p int) iter.Seq2[T, error] { return d.read(tc, rs[p]) })
}

// rangeTimeout bounds how long the offsets of a range are looked for.
const rangeTimeout = time.Minute

// recorded returns the ranges that find returns on the driver.
func recorded(sc *rdd.Context, find func(ctx context.Context) ([]ranges.Range, error)) ([]ranges.Range, error) {
	encoded, err := rdd.TryValue(sc, func() ([]byte, error) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), rangeTimeout, fmt.Errorf("its offsets weren't known within %s", rangeTimeout))
		defer cancel()
		rs, err := find(ctx)
		if err != nil {
			return nil, err
		}
		return encodeRanges(rs, false)
	})
	if op, ok := errors.AsType[*rdd.OpError](err); ok {
		return nil, op.Err // the range has the same place
	}
	if err != nil {
		return nil, err
	}
	return decodeRanges(encoded)
}

// checkRange reports positions that can't be meant, whatever the topic holds.
func checkRange(topic string, from, until Position) error {
	const who = "the range"
	switch {
	case until.kind == earliest:
		return errors.New("it ends at kafka.Earliest, where nothing is before it: give kafka.Latest, kafka.AtOffsets, kafka.AtTime or kafka.AtGroup")
	case from.kind == atTime && until.kind == atTime && until.at.Before(from.at):
		return fmt.Errorf("it begins at %s, after its end at %s", from.at.Format(time.RFC3339Nano), until.at.Format(time.RFC3339Nano))
	}
	return cmp.Or(from.check(who, Subscribe(topic)), until.check(who, Subscribe(topic)))
}

// resolve asks the brokers which offsets are from one position until another.
func (d *direct[T]) resolve(ctx context.Context, from, until Position) ([]ranges.Range, error) {
	if err := d.checkLetters(ctx); err != nil {
		return nil, err
	}
	p, err := ranges.NewPlannerOf(ranges.Options{Brokers: d.brokers, Client: *d.client, Logger: d.log}, d.topics.selection())
	if err != nil {
		return nil, err
	}
	defer p.Close()
	parts, err := p.Plan(ctx)
	if err != nil {
		return nil, err
	}
	first, err := from.resolve(ctx, parts, d.producers())
	if err != nil {
		return nil, err
	}
	end, err := until.resolve(ctx, parts, d.producers())
	if err != nil {
		return nil, err
	}
	var rs []ranges.Range
	for _, part := range parts {
		if until.kind == atOffsets && until.or == nil && !until.names(part) {
			continue
		}
		key := topicPartition{part.Topic, part.Partition}
		r := part.Range(first[key])
		r.Until = end[key]
		if err := isThere(part, r, from, until); err != nil {
			return nil, err
		}
		r.Until = min(r.Until, part.Until) // a group may have read beyond an open transaction
		r.From = min(r.From, r.Until)      // one that holds nothing
		rs = append(rs, r)
	}
	return rs, nil
}

// isThere reports a range of a partition that isn't there, or not all of it.
func isThere(part ranges.Partition, r ranges.Range, from, until Position) error {
	where := fmt.Sprintf("topic %s partition %d", r.Topic, r.Partition)
	begins, ends := from.names(part), until.names(part) // as offsets
	switch {
	case begins && ends && r.From > r.Until:
		return fmt.Errorf("%s is to be read from offset %d until %d, which lies before it", where, r.From, r.Until)
	case begins && r.From < part.Start || ends && r.Until < part.Start:
		return fmt.Errorf("%s is to be read from offset %d until %d, but the records before %d are deleted", where, r.From, r.Until, part.Start)
	case begins && r.From > part.Until || ends && r.Until > part.Until:
		return fmt.Errorf("%s is to be read from offset %d until %d, but ends at %d; a batch program doesn't wait for records", where, r.From, r.Until, part.Until)
	}
	return nil
}

// split cuts ranges into about so many, in proportion to their records.
func split(rs []ranges.Range, least int) []ranges.Range {
	var total int64
	for _, r := range rs {
		total += r.Len()
	}
	if least <= len(rs) || total == 0 {
		return rs
	}
	var cut []ranges.Range
	for _, r := range rs {
		n := max(1, min(r.Len(), (r.Len()*int64(least)+total/2)/total))
		for i := range n {
			piece := r
			piece.From, piece.Until = r.From+r.Len()*i/n, r.From+r.Len()*(i+1)/n
			cut = append(cut, piece)
		}
	}
	return cut
}
