package rdd

import (
	"cmp"
	"encoding/binary"
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
func PartitionAction[T any](r *RDD[T], name string, f func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error), functions ...any) lineage.Action {
	return r.sc.op(name, functions...).action(r.node, func(tc *task.Context, p int) ([]byte, error) {
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
func CollectAction[T any](r *RDD[T], name string, codec encoding.Codec[T], limit, maxBytes int) lineage.Action {
	if limit < 0 {
		limit = math.MaxInt
	}
	return r.sc.op(name).action(r.node, func(tc *task.Context, p int) ([]byte, error) {
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
				return nil, fmt.Errorf("%w: partition %d of %s at %s has more than %d bytes for the driver", ErrResultTooLarge, p, r.node.Op, r.node.Site, maxBytes)
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
	var rows []T
	for p, b := range results {
		for len(b) > 0 {
			v, rest, err := codec.Decode(b)
			if err != nil {
				return nil, fmt.Errorf("%w: result %d: %w", ErrEncoding, p, err)
			}
			rows, b = append(rows, v), rest
		}
	}
	return rows, nil
}

// Collect returns all elements, in partition order. Together they may have at most the
// job's driver.maxResultSize bytes; more is an error that says [ErrResultTooLarge].
func Collect[T any](r *RDD[T]) ([]T, error) {
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, r.sc.op("collect").error(err)
	}
	return collectRows(r, "collect", codec, -1, nil)
}

// collectRows returns up to limit elements of each of the given partitions, nil standing
// for all of them.
func collectRows[T any](r *RDD[T], name string, codec encoding.Codec[T], limit int, partitions []int) ([]T, error) {
	a := CollectAction(r, name, codec, limit, r.sc.maxResultBytes())
	a.Partitions = partitions
	results, err := r.sc.run(a)
	if err != nil {
		return nil, err
	}
	return DecodeRows(codec, results)
}

// Count returns the number of elements.
func Count[T any](r *RDD[T]) (int64, error) {
	results, err := r.sc.run(PartitionAction(r, "count", func(_ *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
		n, err := countRows(rows)
		return binary.AppendVarint(nil, n), err
	}))
	if err != nil {
		return 0, err
	}
	var total int64
	for p, b := range results {
		n, used := binary.Varint(b)
		if used <= 0 {
			return 0, fmt.Errorf("%w: the count of partition %d", ErrEncoding, p)
		}
		total += n
	}
	return total, nil
}

// ForEachPartition hands each partition's elements to f, on executors, at least once: a
// partition whose task failed is handed to f again. The sequence yields an error as its
// last element if the partition can't be read to its end, so that f doesn't take it for a
// shorter one; the task fails then, whatever f returns.
func ForEachPartition[T any](r *RDD[T], f func(p Part, rows iter.Seq2[T, error]) error) error {
	_, err := r.sc.run(PartitionAction(r, "forEachPartition", func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
		return nil, f(PartOf(tc), rows)
	}, f))
	return err
}

// ForEach calls f for each element, on executors, at least once: the elements of a task
// that failed are handed to f again.
func ForEach[T any](r *RDD[T], f func(T) error) error {
	_, err := r.sc.run(PartitionAction(r, "forEach", func(_ *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
		for v, err := range rows {
			if err == nil {
				err = f(v)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}, f))
	return err
}
