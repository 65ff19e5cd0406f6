package rdd_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// fragile can't be encoded if it is negative.
type fragile int

func (f fragile) MarshalText() ([]byte, error) {
	if f < 0 {
		panic("it broke")
	}
	return fmt.Append(nil, int(f)), nil
}

func (f *fragile) UnmarshalText(b []byte) error {
	_, err := fmt.Sscan(string(b), (*int)(f))
	return err
}

// passing hands a partition's elements on, from within a function of the user.
func passing[T any](_ rdd.Part, in iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range in {
			if !yield(v, err) {
				return
			}
		}
	}
}

// pulling reads its elements by iter.Pull2, so on a stack of their own.
func pulling[T any](_ rdd.Part, in iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next, stop := iter.Pull2(in)
		defer stop()
		for v, err, ok := next(); ok; v, err, ok = next() {
			if !yield(v, err) {
				return
			}
		}
	}
}

func identity(i int) int { return i }

// A panic is blamed on the operator whose function or encoder it comes from, not
// on those that yielded the record or that read the sequence.
func TestBlame(t *testing.T) {
	boom := func(int) int { panic("boom") }
	source := func(l *rdd.Context) *rdd.RDD[int] {
		return rdd.Source(l, "source", lineage.Site{}, 1, func(*task.Context, int) iter.Seq2[int, error] {
			return func(func(int, error) bool) { panic("boom") }
		})
	}
	broken := func(r *rdd.RDD[int]) *rdd.RDD[fragile] {
		return rdd.Map(r, func(i int) fragile { return fragile(-i) })
	}
	each := func(f func(int)) func(*task.Context, iter.Seq2[int, error]) ([]byte, error) {
		return func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
			for v, err := range rows {
				if err != nil {
					return nil, err
				}
				f(v)
			}
			return nil, nil
		}
	}
	calm := each(func(int) {})
	first := func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
		next, stop := iter.Pull2(rows)
		defer stop()
		next()
		return nil, nil
	}
	keyed := func(r *rdd.RDD[int]) *rdd.RDD[pair] {
		return rdd.Map(r, func(i int) pair { return pair{"k", i} })
	}
	for name, c := range map[string]struct {
		action func(l *rdd.Context) lineage.Action
		op     string
	}{
		"a function of ForEachPartition": {func(l *rdd.Context) lineage.Action {
			return forEachPartition(rdd.TryMapPartitions(ints(l, 3, 1), passing[int]), func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
				for range rows {
					panic("boom")
				}
				return nil, nil
			})
		}, "forEachPartition"},
		"an encoder of what goes to the driver": {func(l *rdd.Context) lineage.Action {
			codec, err := encoding.For[fragile]()
			if err != nil {
				t.Fatal(err)
			}
			return rdd.CollectAction(rdd.TryMapPartitions(broken(ints(l, 3, 1)), passing[fragile]), "collect", codec, -1, 100)
		}, "collect"},
		"an encoder of a shuffle": {func(l *rdd.Context) lineage.Action {
			r := rdd.Reduced(rdd.TryMapPartitions(broken(ints(l, 3, 1)), passing[fragile]), func(a, _ fragile) fragile { return a })
			return forEachPartition(rdd.Map(r, func(f fragile) int { return int(f) }), calm)
		}, "reduce"},
		"an encoder of keys": {func(l *rdd.Context) lineage.Action {
			r := rdd.CountedByValue(rdd.TryMapPartitions(broken(ints(l, 3, 1)), passing[fragile]), rdd.Partitions(2))
			return forEachPartition(rdd.Map(r, func(rdd.Pair[fragile, int64]) int { return 0 }), calm)
		}, "countByValue"},
		"a merge on the writing side": {func(l *rdd.Context) lineage.Action {
			r := rdd.ReduceByKey(rdd.TryMapPartitions(keyed(ints(l, 3, 1)), passing[pair]), func(int, int) int { panic("boom") }, rdd.Partitions(1))
			return forEachPartition(rdd.Map(r, func(p pair) int { return p.Value }), calm)
		}, "reduceByKey"},
		"a creation on the writing side": {func(l *rdd.Context) lineage.Action {
			r := rdd.CombineByKey(rdd.TryMapPartitions(keyed(ints(l, 3, 1)), passing[pair]), boom, sum, sum, rdd.Partitions(1))
			return forEachPartition(rdd.Map(r, func(p pair) int { return p.Value }), calm)
		}, "combineByKey"},
		"before a pull of MapPartitions": {func(l *rdd.Context) lineage.Action {
			r := rdd.Map(rdd.Map(ints(l, 3, 1).Filter(func(int) bool { return true }), identity), boom)
			return forEachPartition(rdd.TryMapPartitions(r, pulling[int]), calm)
		}, "map"},
		"before two pulls": {func(l *rdd.Context) lineage.Action {
			r := rdd.TryMapPartitions(rdd.TryMapPartitions(rdd.FlatMap(ints(l, 3, 1), func(int) []int { panic("boom") }), pulling[int]), pulling[int])
			return forEachPartition(r, first)
		}, "flatMap"},
		"behind a pull": {func(l *rdd.Context) lineage.Action {
			return forEachPartition(rdd.Map(rdd.TryMapPartitions(ints(l, 3, 1), pulling[int]), boom), calm)
		}, "map"},
		"a source": {func(l *rdd.Context) lineage.Action { return forEachPartition(source(l), calm) }, "source"},
		"a source before a pull": {func(l *rdd.Context) lineage.Action {
			return forEachPartition(rdd.TryMapPartitions(source(l), pulling[int]), calm)
		}, "source"},
		"a source that MapPartitions reads": {func(l *rdd.Context) lineage.Action {
			return forEachPartition(rdd.TryMapPartitions(source(l), passing[int]), calm)
		}, "source"},
	} {
		l := rddtest.NewBatch(1, 1)
		action := c.action(l)
		err := runGuarded(l, action)
		var p *rdd.PanicError
		if !errors.As(err, &p) || p.Op != c.op {
			t.Errorf("%s: blamed is %+v, want %s", name, err, c.op)
			continue
		}
		if !strings.Contains(p.Stack, "TestBlame") && !strings.Contains(p.Stack, "fragile") || !strings.Contains(p.Cause(), "panic at rdd/panic_test.go:") {
			t.Errorf("%s: %s\n%s", name, p.Cause(), p.Stack)
		}
	}
}

// runGuarded runs an action after the map stages that it needs.
func runGuarded(l *rdd.Context, action lineage.Action) error {
	if err := l.Lineage().Err(); err != nil {
		return err
	}
	_, err := rddtest.NewReference().Run(action)
	return err
}

// forEachPartition is the action of a program's own function.
func forEachPartition[T any](r *rdd.RDD[T], f func(*task.Context, iter.Seq2[T, error]) ([]byte, error)) lineage.Action {
	return rdd.PartitionAction(r, "forEachPartition", f, f)
}

// A panic that the user's code recovered is not taken for a later one.
func TestRecoveredPanicIsOver(t *testing.T) {
	l := rddtest.NewBatch(1, 1)
	early := rdd.Map(ints(l, 3, 1), func(int) int { panic("early") })
	brave := rdd.TryMapPartitions(early, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			func() {
				defer func() { _ = recover() }()
				next, stop := iter.Pull2(in)
				defer stop()
				next()
			}()
			yield(1, nil)
		}
	})
	late := rdd.Map(brave, func(int) int { panic("late") })
	err := runGuarded(l, forEachPartition(late.Filter(func(int) bool { return true }), func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
		for range rows {
		}
		return nil, nil
	}))
	var p *rdd.PanicError
	if !errors.As(err, &p) || p.Op != "map" || p.Value != "late" || strings.Contains(p.Stack, "early") || strings.Count(p.Stack, "TestRecoveredPanicIsOver.func3") != 1 {
		t.Errorf("%v\n%s", err, p.Stack)
	}
}

// The error that code panics with is found.
func TestPanickedErrorIsSeen(t *testing.T) {
	broken := errors.New("the disk is gone")
	l := rddtest.NewBatch(1, 1)
	r := rdd.Map(ints(l, 1, 1), func(int) int { panic(fmt.Errorf("reading: %w", broken)) })
	if err := lineage.Guard(r.Node(), func() error { _, err := rddtest.Glom(r); return err }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := lineage.Guard(r.Node(), func() error { panic("text") }); errors.Is(err, broken) || errors.Unwrap(err) != nil {
		t.Error(err)
	}
}
