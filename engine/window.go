package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Window declares a stream that holds, at each multiple of slide, what d's batches of the
// last length of time brought: those of times in (t-length, t]. The first windows are
// partial. Between multiples of slide the stream has nothing: its outputs don't run. Both
// must be multiples of the distance between d's own RDDs, the batch interval if d isn't
// a window itself; a slide above length leaves batches out.
//
// Executors keep d's partitions for length, as after [DStream.Persist] with
// [rdd.MemoryAndDisk] (with [rdd.MemoryOnly] where elements can't be encoded), unless d has
// a level already. What is lost of them is computed again from the inputs. As soon as possible
// (--asap) there is a least time between two batches of a program that has windows, a 256th of
// what they reach back, and the batch interval at most.
func (d *DStream[T]) Window(length, slide time.Duration) *DStream[T] {
	return overWindow(d, "window", length, slide, func(in []*rdd.RDD[T]) *rdd.RDD[T] { return in[0].Union(in[1:]...) })
}

// overWindow declares a stream whose RDD f makes, at each multiple of slide, of those that
// d has in the last length of time, the oldest first. functions are the user's.
func overWindow[T, U any](d *DStream[T], op string, length, slide time.Duration, f func(in []*rdd.RDD[T]) *rdd.RDD[U], functions ...any) *DStream[U] {
	node := declareWindow(d, op, length, slide, functions...)
	return &DStream[U]{ssc: d.ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[U] { return f(d.within(g, length)) }}
}

// within returns the stream's RDDs of the last length of time, the oldest first.
func (d *DStream[T]) within(g *plan.Generation, length time.Duration) []*rdd.RDD[T] {
	var in []*rdd.RDD[T]
	for _, batch := range g.Within(length) {
		if batch.Due(d.node.Slide) {
			in = append(in, d.at(batch))
		}
	}
	return in
}

// declareWindow declares a stream that looks back over d's RDDs, which are kept for that.
func declareWindow[T any](d *DStream[T], op string, length, slide time.Duration, functions ...any) *plan.Stream {
	d.remembered()
	if err := d.fits(length, slide); err != nil {
		d.ssc.fail(op, err)
		length, slide = 0, 0
	}
	node := d.ssc.program.Graph.AddStream(plan.Declared(op, functions...), d.asParent())
	node.Back, node.Slide = length, slide
	return node
}

// fits says why a window can't be of the stream.
func (d *DStream[T]) fits(length, slide time.Duration) error {
	step := max(d.ssc.program.Interval, d.node.Slide)
	for _, w := range []struct {
		name string
		is   time.Duration
	}{{"length", length}, {"slide", slide}} {
		if w.is <= 0 || w.is%step != 0 {
			return fmt.Errorf("%w: its %s is %s, it must be a multiple of %s, the distance between the stream's batches", ErrWindow, w.name, w.is, step)
		}
	}
	return nil
}

// remembered has the stream's partitions kept, unless they are already.
func (d *DStream[T]) remembered() {
	if d.node.Cached {
		return
	}
	d.node.Cached, d.node.Level = true, rdd.MemoryOnly
	if _, err := encoding.For[T](); err == nil {
		d.node.Level = rdd.MemoryAndDisk
	}
}

// CountByWindow yields, at each multiple of slide, how many elements d had in the last
// length of time, 0 for none. See [DStream.Window].
func CountByWindow[T any](d *DStream[T], length, slide time.Duration) *DStream[int64] {
	return overWindow(Count(d), "countByWindow", length, slide, func(in []*rdd.RDD[int64]) *rdd.RDD[int64] {
		return reduced(in, func(a, b int64) int64 { return a + b })
	})
}

// ReduceByWindow combines, at each multiple of slide, the elements that d had in the last
// length of time into one with f, which must be associative; of none it makes none. Each
// batch is reduced once. See [DStream.Window].
func ReduceByWindow[T any](d *DStream[T], f func(T, T) T, length, slide time.Duration) *DStream[T] {
	return overWindow(Reduce(d, f), "reduceByWindow", length, slide, func(in []*rdd.RDD[T]) *rdd.RDD[T] {
		return reduced(in, f)
	}, f)
}

// reduced combines what batches were reduced to, one element at most in each, in one task
// rather than one for each batch.
func reduced[T any](in []*rdd.RDD[T], f func(T, T) T) *rdd.RDD[T] {
	return rdd.Reduced(in[0].Union(in[1:]...).Coalesce(1), f)
}

// GroupByKeyAndWindow collects, at each multiple of slide, the values that each key had in
// the last length of time, in the order of the batches. Each batch is grouped once. See
// [DStream.Window].
func GroupByKeyAndWindow[K comparable, V any](d *DStream[rdd.Pair[K, V]], length, slide time.Duration, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, []V]] {
	type groups = rdd.Pair[K, []V]
	return overWindow(GroupByKey(d, opts...), "groupByKeyAndWindow", length, slide, func(in []*rdd.RDD[groups]) *rdd.RDD[groups] {
		return rdd.MapValues(rdd.GroupByKey(in[0].Union(in[1:]...)), func(parts [][]V) []V { return slices.Concat(parts...) })
	})
}

// ReduceByKeyAndWindow combines, at each multiple of slide, the values that each key had
// in the last length of time with f, which must be associative; older values come first.
// Each batch is reduced once, and what earlier windows have in common with a window isn't
// reduced again: a slide costs about as much for a long window as for a short one. See
// [DStream.Window].
func ReduceByKeyAndWindow[K comparable, V any](d *DStream[rdd.Pair[K, V]], f func(V, V) V, length, slide time.Duration, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, V]] {
	return reduceOverWindow(ReduceByKey(d, f, opts...), "reduceByKeyAndWindow", f, length, slide, f)
}

// CountByValueAndWindow counts, at each multiple of slide, how often each value occurred
// in the last length of time. What it costs is said at [ReduceByKeyAndWindow].
func CountByValueAndWindow[T comparable](d *DStream[T], length, slide time.Duration, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[T, int64]] {
	return reduceOverWindow(CountByValue(d, opts...), "countByValueAndWindow", func(a, b int64) int64 { return a + b }, length, slide)
}
