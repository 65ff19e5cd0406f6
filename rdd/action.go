package rdd

import (
	"cmp"
	"fmt"
	"iter"
	"math"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// PartitionAction returns the action that hands each partition's sequence to f, on
// executors: what actions and the outputs of streams are made of.
// The sequence yields an error as its last element if the partition can't be
// read; f returns it, and if it doesn't the task fails all the same: a partition
// that couldn't be read must never count as done. What f returns goes to the
// driver. functions are those of the user in f.
//
//go:noinline
func PartitionAction[T any](r *RDD[T], name string, f func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error), functions ...any) lineage.Action {
	return partitionAction(r.sc.op(name, functions...), r, f)
}

func partitionAction[T any](o op, r *RDD[T], f func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error)) lineage.Action {
	return o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		rows, failed := kept(tc, r.Compute(tc, p))
		result, err := f(tc, rows)
		if err != nil && *failed == nil {
			err = lineage.OfAction(err)
		}
		return result, cmp.Or(err, *failed)
	})
}

// action returns an action that the operator calls on all partitions of a node.
func (o op) action(final *lineage.Node, run func(tc *task.Context, partition int) ([]byte, error)) lineage.Action {
	return lineage.Action{Final: final, Op: o.name, Site: o.site, Functions: o.functions, Run: run}
}

// CollectAction returns the action that sends up to limit elements of each partition
// to the driver (all of them for limit < 0). A partition whose encoding exceeds
// maxBytes is an error that says [ErrResultTooLarge]. [DecodeRows] decodes the results.
//
//go:noinline
func CollectAction[T any](r *RDD[T], name string, codec encoding.Codec[T], limit, maxBytes int) lineage.Action {
	return collectAction(r.sc.op(name), r, codec, limit, maxBytes)
}

func collectAction[T any](o op, r *RDD[T], codec encoding.Codec[T], limit, maxBytes int) lineage.Action {
	if limit < 0 {
		limit = math.MaxInt
	}
	return o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		if limit == 0 {
			return nil, nil
		}
		var out []byte
		n := 0
		for v, err := range r.Compute(tc, p) {
			if err != nil {
				return nil, err
			}
			if out, err = codec.Append(out, v); err != nil {
				return nil, &OpError{Op: r.node.Op, Site: r.node.Site, Err: err}
			}
			if len(out) > maxBytes {
				return nil, tooLarge(r.node, p, maxBytes)
			}
			if n++; n == limit {
				break
			}
		}
		return out, nil
	})
}

// DecodeRows returns the elements of what CollectAction returned, in partition order.
func DecodeRows[T any](codec encoding.Codec[T], results [][]byte) ([]T, error) {
	rows, _, err := decodeRows(codec, results, math.MaxInt)
	return rows, err
}

// decodeRows returns the first elements, up to limit, and how many bytes they took.
func decodeRows[T any](codec encoding.Codec[T], results [][]byte, limit int) (rows []T, size int, err error) {
	own := owning[T]()
	for p, b := range results {
		for len(b) > 0 && len(rows) < limit {
			v, rest, err := codec.Decode(b)
			if err != nil {
				return nil, 0, fmt.Errorf("%w: result %d: %w", ErrEncoding, p, err)
			}
			size += len(b) - len(rest)
			rows, b = append(rows, v), rest
			own.of(&rows[len(rows)-1])
		}
	}
	return rows, size, nil
}

// tooLarge is the error of a partition that has too much for the driver.
func tooLarge(n *lineage.Node, partition, maxBytes int) error {
	return fmt.Errorf("%w: partition %d of %s at %s has more than %d bytes for the driver", ErrResultTooLarge, partition, n.Op, n.Site, maxBytes)
}

// begin returns the action of the given name that the program calls on r with functions of
// its own, or what is wrong with r, with the functions or with the program.
func begin[T any](r *RDD[T], name string, functions ...any) (op, error) {
	if r == nil || r.node == nil {
		return op{}, &OpError{Op: name, Site: lineage.Caller(), Err: ErrNil}
	}
	o := r.sc.op(name, functions...)
	return o, r.sc.ready(o.name, o.site)
}

// Collect returns all elements, in partition order. Together they may have at most the
// job's driver.maxResultSize bytes; more is an error that says [ErrResultTooLarge].
func Collect[T any](r *RDD[T]) ([]T, error) {
	o, err := begin(r, "collect")
	if err != nil {
		return nil, err
	}
	return collectRows(o, r, -1, nil)
}

// collectRows returns up to limit elements of each of the given partitions, nil standing
// for all of them.
func collectRows[T any](o op, r *RDD[T], limit int, partitions []int) ([]T, error) {
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	a := collectAction(o, r, codec, limit, r.sc.maxResultBytes())
	a.Partitions = partitions
	results, err := r.sc.run(a)
	if err != nil {
		return nil, err
	}
	return DecodeRows(codec, results)
}

// partials computes one value of each partition, on executors, and returns them in
// partition order. fold says whether a partition has one.
func partials[T, U any](o op, r *RDD[T], fold func(iter.Seq2[T, error]) (U, bool, error)) ([]U, error) {
	codec, err := encoding.For[U]()
	if err != nil {
		return nil, o.error(err)
	}
	limit := r.sc.maxResultBytes()
	results, err := r.sc.run(o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		v, ok, err := fold(r.Compute(tc, p))
		if err != nil || !ok {
			return nil, err
		}
		out, err := codec.Append(nil, v)
		if err != nil {
			return nil, o.error(err)
		}
		if len(out) > limit {
			return nil, tooLarge(r.node, p, limit)
		}
		return out, nil
	}))
	if err != nil {
		return nil, err
	}
	return DecodeRows(codec, results)
}

// onDriver runs functions of the user on what an action brought to the driver. A panic of
// theirs is an error that names the action.
func (o op) onDriver(f func() error) error {
	return lineage.Action{Op: o.name, Site: o.site, Functions: o.functions}.GuardedOnDriver(f)
}

// Count returns the number of elements.
func Count[T any](r *RDD[T]) (int64, error) {
	o, err := begin(r, "count")
	if err != nil {
		return 0, err
	}
	counts, err := countPartitions(o, r)
	var total int64
	for _, n := range counts {
		total += n
	}
	return total, err
}

// countPartitions returns the number of elements of each partition.
func countPartitions[T any](o op, r *RDD[T]) ([]int64, error) {
	return partials(o, r, func(rows iter.Seq2[T, error]) (int64, bool, error) {
		n, err := countRows(rows)
		return n, true, err
	})
}

// CountByValue returns each value that occurs, and how often: pairs rather than Spark's
// map, since they have an order, the same whenever the program runs, and so that NaN,
// which is one value, can be among them. The values are counted by a shuffle, on
// executors; options are as for [CountedByValue].
func CountByValue[T comparable](r *RDD[T], opts ...ShuffleOption) ([]Pair[T, int64], error) {
	o, err := begin(r, "countByValue")
	if err != nil {
		return nil, err
	}
	return collectRows(o, CountedByValue(r, opts...), -1, nil)
}

// ForEachPartition hands each partition's elements to f, on executors, at least once: a
// partition whose task failed is handed to f again. The sequence yields an error as its
// last element if the partition can't be read to its end, so that f doesn't take it for a
// shorter one; the task fails then, whatever f returns.
func ForEachPartition[T any](r *RDD[T], f func(p Part, rows iter.Seq2[T, error]) error) error {
	o, err := begin(r, "forEachPartition", f)
	if err != nil {
		return err
	}
	_, err = r.sc.run(partitionAction(o, r, func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
		return nil, f(PartOf(tc), rows)
	}))
	return err
}

// ForEach calls f for each element, on executors, at least once: the elements of a task
// that failed are handed to f again.
func ForEach[T any](r *RDD[T], f func(T) error) error {
	o, err := begin(r, "forEach", f)
	if err != nil {
		return err
	}
	_, err = r.sc.run(partitionAction(o, r, func(_ *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
		for v, err := range rows {
			if err == nil {
				err = f(v)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	return err
}
