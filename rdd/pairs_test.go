package rdd_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

type (
	word   = rdd.Pair[int, string]
	number = rdd.Pair[int, int]
)

// modulo puts a key into the partition of its remainder.
type modulo int

func (m modulo) Partitions() int               { return int(m) }
func (m modulo) Equal(o rdd.Partitioner) bool  { return o == m }
func (m modulo) Partition(key int) int         { return key % int(m) }
func by(partitions int) rdd.ShuffleOption      { return rdd.By(modulo(partitions)) }
func none[T any](sc *rdd.Context) *rdd.RDD[T]  { return empty[T](sc, 0) }
func appended(all []string, s string) []string { return append(all, s) }
func joined(a, b []string) []string            { return append(a, b...) }
func length(n int, s string) int               { return n + len(s) }
func words(sc *rdd.Context) *rdd.RDD[word]     { return inParts(sc, someWords) }
func numbers(sc *rdd.Context) *rdd.RDD[number] { return inParts(sc, someNumbers) }
func inParts[T any](sc *rdd.Context, parts [][]T) *rdd.RDD[T] {
	return rdd.Source(sc, "parts", lineage.Site{}, len(parts), func(tc *task.Context, p int) iter.Seq2[T, error] {
		return rdd.Elements(tc, parts[p])
	})
}

func empty[T any](sc *rdd.Context, partitions int) *rdd.RDD[T] {
	return inParts(sc, make([][]T, partitions))
}

var (
	someWords   = [][]word{{{1, "a"}, {2, "b"}}, {}, {{1, "c"}, {3, "d"}}}
	someNumbers = [][]number{{{2, 20}}, {{4, 40}, {1, 10}}, {{2, 21}}}
)

// Each operator on pairs: what it makes of which partitions.
func TestPairs(t *testing.T) {
	w, n := words, numbers
	noW, noN := none[word], none[number]
	for _, c := range []struct {
		name string
		of   func(sc *rdd.Context) fmt.Stringer
		want string
	}{
		{"MapValues", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.MapValues(w(sc), strings.ToUpper)) },
			"[[{1 A} {2 B}] [] [{1 C} {3 D}]]"},
		{"MapValues of nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.MapValues(noW(sc), strings.ToUpper)) }, "[]"},
		{"FlatMapValues", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.FlatMapValues(n(sc), func(i int) []int { return []int{i, i + 1}[:i/10%3] }))
		}, "[[{2 20} {2 21}] [{4 40} {1 10}] [{2 21} {2 22}]]"},
		{"FlatMapValues to none", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.FlatMapValues(n(sc), func(int) []int { return nil }))
		}, "[[] [] []]"},
		{"Keys", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Keys(w(sc))) }, "[[1 2] [] [1 3]]"},
		{"Values", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Values(w(sc))) }, "[[a b] [] [c d]]"},

		{"GroupByKey", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.GroupByKey(w(sc), by(1))) }, "[[{1 [a c]} {2 [b]} {3 [d]}]]"},
		{"GroupByKey in 2", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.GroupByKey(w(sc), by(2))) }, "[[{2 [b]}] [{1 [a c]} {3 [d]}]]"},
		{"GroupByKey in 5", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.GroupByKey(w(sc), by(5))) }, "[[] [{1 [a c]}] [{2 [b]}] [{3 [d]}] []]"},
		{"GroupByKey of nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.GroupByKey(noW(sc), by(2))) }, "[[] []]"},
		{"GroupByKey of empty partitions", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.GroupByKey(empty[word](sc, 3), by(1))) }, "[[]]"},
		{"GroupByKey where the keys are", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.GroupByKey(rdd.PartitionBy(w(sc), by(2))))
		}, "[[{2 [b]}] [{1 [a c]} {3 [d]}]]"},

		{"AggregateByKey", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.AggregateByKey(w(sc), []string{"0"}, appended, joined, by(1)))
		}, "[[{1 [0 a 0 c]} {2 [0 b]} {3 [0 d]}]]"},
		{"AggregateByKey in 2", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.AggregateByKey(w(sc), 10, length, sum, by(2)))
		}, "[[{2 11}] [{1 22} {3 11}]]"},
		{"AggregateByKey where the keys are", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.AggregateByKey(rdd.PartitionBy(w(sc), by(1)), []string{"0"}, appended, joined))
		}, "[[{1 [0 a c]} {2 [0 b]} {3 [0 d]}]]"},
		{"AggregateByKey of nothing", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.AggregateByKey(noW(sc), 10, length, sum, by(2)))
		}, "[[] []]"},
		{"FoldByKey", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.FoldByKey(n(sc), 100, sum, by(2))) }, "[[{2 241} {4 140}] [{1 110}]]"},
		{"FoldByKey of empty partitions", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.FoldByKey(empty[number](sc, 2), 100, sum, by(2)))
		}, "[[] []]"},

		{"PartitionBy", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.PartitionBy(w(sc), by(2))) }, "[[{2 b}] [{1 a} {1 c} {3 d}]]"},
		{"PartitionBy again", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.PartitionBy(rdd.PartitionBy(w(sc), by(2)), by(3)))
		}, "[[{3 d}] [{1 a} {1 c}] [{2 b}]]"},
		{"PartitionBy of nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.PartitionBy(noW(sc), by(3))) }, "[[] [] []]"},

		{"Cogroup", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Cogroup(w(sc), n(sc), by(1))) },
			"[[{1 {[a c] [10]}} {2 {[b] [20 21]}} {3 {[d] []}} {4 {[] [40]}}]]"},
		{"Cogroup in 2", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Cogroup(w(sc), n(sc), by(2))) },
			"[[{2 {[b] [20 21]}} {4 {[] [40]}}] [{1 {[a c] [10]}} {3 {[d] []}}]]"},
		{"Cogroup with nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Cogroup(noW(sc), n(sc), by(1))) },
			"[[{2 {[] [20 21]}} {4 {[] [40]}} {1 {[] [10]}}]]"},
		{"Cogroup of nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Cogroup(noW(sc), noN(sc), by(2))) }, "[[] []]"},
		{"Cogroup3", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.Cogroup3(w(sc), n(sc), rdd.PartitionBy(w(sc), by(1)), by(1)))
		}, "[[{1 {[a c] [10] [a c]}} {2 {[b] [20 21] [b]}} {3 {[d] [] [d]}} {4 {[] [40] []}}]]"},
		{"Cogroup4", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.Cogroup4(n(sc), noW(sc), n(sc), w(sc), by(2)))
		}, "[[{2 {[20 21] [] [20 21] [b]}} {4 {[40] [] [40] []}}] [{1 {[10] [] [10] [a c]}} {3 {[] [] [] [d]}}]]"},

		{"Join", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Join(w(sc), n(sc), by(1))) },
			"[[{1 {a 10}} {1 {c 10}} {2 {b 20}} {2 {b 21}}]]"},
		{"Join in 2", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Join(w(sc), n(sc), by(2))) },
			"[[{2 {b 20}} {2 {b 21}}] [{1 {a 10}} {1 {c 10}}]]"},
		{"Join with itself", func(sc *rdd.Context) fmt.Stringer { r := w(sc); return parts(rdd.Join(r, r, by(1))) },
			"[[{1 {a a}} {1 {a c}} {1 {c a}} {1 {c c}} {2 {b b}} {3 {d d}}]]"},
		{"Join with nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.Join(w(sc), noN(sc), by(2))) }, "[[] []]"},
		{"LeftOuterJoin", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.LeftOuterJoin(w(sc), n(sc), by(2))) },
			"[[{2 {b Some(20)}} {2 {b Some(21)}}] [{1 {a Some(10)}} {1 {c Some(10)}} {3 {d None}}]]"},
		{"LeftOuterJoin with nothing", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.LeftOuterJoin(w(sc), noN(sc), by(1)))
		}, "[[{1 {a None}} {1 {c None}} {2 {b None}} {3 {d None}}]]"},
		{"RightOuterJoin", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.RightOuterJoin(w(sc), n(sc), by(1))) },
			"[[{1 {Some(a) 10}} {1 {Some(c) 10}} {2 {Some(b) 20}} {2 {Some(b) 21}} {4 {None 40}}]]"},
		{"RightOuterJoin of nothing", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.RightOuterJoin(noW(sc), n(sc), by(2)))
		}, "[[{2 {None 20}} {2 {None 21}} {4 {None 40}}] [{1 {None 10}}]]"},
		{"FullOuterJoin", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.FullOuterJoin(w(sc), n(sc), by(2))) },
			"[[{2 {Some(b) Some(20)}} {2 {Some(b) Some(21)}} {4 {None Some(40)}}] [{1 {Some(a) Some(10)}} {1 {Some(c) Some(10)}} {3 {Some(d) None}}]]"},
		{"FullOuterJoin of nothing", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.FullOuterJoin(noW(sc), noN(sc), by(2)))
		}, "[[] []]"},

		{"SubtractByKey", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.SubtractByKey(w(sc), n(sc).Filter(func(p number) bool { return p.Key != 1 }), by(1)))
		}, "[[{1 a} {1 c} {3 d}]]"},
		{"SubtractByKey in 2", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.SubtractByKey(w(sc), n(sc), by(2))) }, "[[] [{3 d}]]"},
		{"SubtractByKey of nothing from", func(sc *rdd.Context) fmt.Stringer {
			return parts(rdd.SubtractByKey(w(sc), noN(sc), by(2)))
		}, "[[{2 b}] [{1 a} {1 c} {3 d}]]"},
		{"SubtractByKey from nothing", func(sc *rdd.Context) fmt.Stringer { return parts(rdd.SubtractByKey(noW(sc), n(sc), by(2))) }, "[[] []]"},
	} {
		if got := c.of(rddtest.NewContext(2)).String(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// seen is an RDD as text: its partitions, or what is wrong with it.
type seen string

func (s seen) String() string { return string(s) }

func parts[T any](r *rdd.RDD[T]) seen {
	got, err := rddtest.Glom(r)
	if err != nil {
		return seen(err.Error())
	}
	return seen(fmt.Sprint(got))
}

func TestPairActions(t *testing.T) {
	sc := rddtest.NewContext(2)
	for _, c := range []struct {
		name string
		of   func() (any, error)
		want string
	}{
		{"CountByKey", func() (any, error) { return rdd.CountByKey(words(sc), by(2)) }, "[{2 1} {1 2} {3 1}]"},
		{"CountByKey of nothing", func() (any, error) { return rdd.CountByKey(none[word](sc)) }, "[]"},
		{"CollectAsMap", func() (any, error) { return rdd.CollectAsMap(words(sc)) }, "map[1:c 2:b 3:d]"},
		{"CollectAsMap of nothing", func() (any, error) { return rdd.CollectAsMap(none[word](sc)) }, "map[]"},
		{"Lookup", func() (any, error) { return rdd.Lookup(words(sc), 1) }, "[a c]"},
		{"Lookup where the keys are", func() (any, error) { return rdd.Lookup(rdd.PartitionBy(words(sc), by(2)), 1) }, "[a c]"},
		{"Lookup of a missing key", func() (any, error) { return rdd.Lookup(rdd.PartitionBy(words(sc)), 7) }, "[]"},
		{"Lookup in nothing", func() (any, error) { return rdd.Lookup(none[word](sc), 1) }, "[]"},
	} {
		if got, err := c.of(); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s; %v", c.name, got, c.want, err)
		}
	}
}

// Lookup computes the partition that the key belongs to, and all if that isn't known.
func TestLookupComputesOnePartition(t *testing.T) {
	sc := rddtest.NewContext(2)
	var computed []int
	watch := func(r *rdd.RDD[word]) *rdd.RDD[word] {
		return rdd.TryMapPartitions(r, func(p rdd.Part, in iter.Seq2[word, error]) iter.Seq2[word, error] {
			computed = append(computed, p.Index)
			return in
		})
	}
	spread := rdd.PartitionBy(words(sc), by(4))
	watched := watch(spread)
	for _, c := range []struct {
		of   *rdd.RDD[word]
		want string
	}{{watched, "[0 1 2 3]"}, {rdd.PartitionBy(watched, by(4)), "[0 1 2 3]"}, {watched.Union(none[word](sc)), "[0 1 2 3]"}} {
		computed = nil
		if got, err := rdd.Lookup(c.of, 3); err != nil || fmt.Sprint(got) != "[d]" || fmt.Sprint(computed) != c.want {
			t.Errorf("%v from partitions %v, want %s; %v", got, computed, c.want, err)
		}
	}
	computed = nil
	known := spread.Filter(func(w word) bool { computed = append(computed, w.Key%4); return true })
	if got, err := rdd.Lookup(rdd.MapValues(known, strings.ToUpper), 3); err != nil || fmt.Sprint(got) != "[D]" || fmt.Sprint(computed) != "[3]" {
		t.Errorf("%v from partitions %v; %v", got, computed, err)
	}
}

// Every key of every partition has a zero of its own, whatever is done to it, and the
// program's stays what it was.
func TestZerosAreCopies(t *testing.T) {
	sc := rddtest.NewContext(2)
	in := inParts(sc, [][]number{{{1, 1}, {2, 2}, {1, 3}}, {{1, 4}, {2, 5}}})
	counted := map[int]int{0: 1}
	maps := rdd.AggregateByKey(in, counted,
		func(m map[int]int, v int) map[int]int { m[0]++; m[v]++; return m },
		func(a, b map[int]int) map[int]int {
			for k, n := range b {
				a[k] += n
			}
			return a
		}, by(1))
	bytes := []byte("..")
	marks := rdd.AggregateByKey(in, bytes,
		func(b []byte, v int) []byte { b[0] = '0' + byte(v); return b },
		func(a, b []byte) []byte { return append(a, b...) }, by(1))
	type tally struct{ Seen []int }
	start := &tally{make([]int, 1, 10)}
	pointers := rdd.AggregateByKey(in, start,
		func(t *tally, v int) *tally { t.Seen = append(t.Seen, v); return t },
		func(a, b *tally) *tally { a.Seen = append(a.Seen, b.Seen...); return a }, by(1))
	lists := rdd.FoldByKey(rdd.MapValues(in, func(v int) []int { return []int{v} }), make([]int, 1, 10),
		func(a, b []int) []int { a[0]++; return append(a, b...) }, by(1))
	for name, c := range map[string]struct{ got, want string }{
		"a map":     {fmt.Sprint(parts(maps)), "[[{1 map[0:5 1:1 3:1 4:1]} {2 map[0:4 2:1 5:1]}]]"},
		"bytes":     {fmt.Sprint(parts(rdd.MapValues(marks, func(b []byte) string { return string(b) }))), "[[{1 3.4.} {2 2.5.}]]"},
		"a pointer": {fmt.Sprint(parts(rdd.MapValues(pointers, func(t *tally) []int { return t.Seen }))), "[[{1 [0 1 3 0 4]} {2 [0 2 0 5]}]]"},
		"a slice":   {fmt.Sprint(parts(lists)), "[[{1 [3 1 3 1 4]} {2 [2 2 1 5]}]]"},
		"the map given, the bytes and the pointer": {fmt.Sprint(counted, string(bytes), start.Seen[:3]), "map[0:1]..[0 0 0]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

// moody is written as long as it is good, and read as often as that is allowed.
type moody struct{ mood *int }

var _ = moody{}.mood // a pointer is there, so that its memory is measured

func (m moody) MarshalBinary() ([]byte, error) { return []byte{1}, nil }

func (m *moody) UnmarshalBinary([]byte) error {
	if reads--; reads < 0 {
		return errMood
	}
	return nil
}

var (
	reads   int
	errMood = errors.New("not in the mood")
)

// A zero that can't be copied is an error of the operator: at its declaration, or in the
// task.
func TestZerosThatCannotBeCopied(t *testing.T) {
	first := func(m, _ moody) moody { return m }
	for name, allowed := range map[string]int{"at the declaration": 0, "in the task": 1} {
		reads = allowed
		sc := rddtest.NewContext(1)
		r := rdd.AggregateByKey(ints2(sc), moody{}, func(m moody, _ int) moody { return m }, first)
		built := sc.Lineage().Err()
		_, ran := rddtest.Glom(rdd.Keys(r))
		if (built != nil) != (allowed == 0) {
			t.Errorf("%s: %v", name, built)
		}
		op, ok := errors.AsType[*rdd.OpError](ran)
		if !errors.Is(ran, errMood) || !ok || op.Op != "aggregateByKey" || !strings.Contains(ran.Error(), "pairs_test.go:") {
			t.Errorf("%s: %v", name, ran)
		}
	}
}

func ints2(sc *rdd.Context) *rdd.RDD[number] { return inParts(sc, [][]number{{{1, 1}}}) }

// Which operators keep the partitioner, and which have one.
func TestPartitionersOfPairs(t *testing.T) {
	sc := rddtest.NewContext(3)
	two, three, forty := modulo(2), modulo(3), modulo(40)
	r := rdd.PartitionBy(words(sc), by(2))
	other := rdd.PartitionBy(numbers(sc), by(3))
	many := empty[number](sc, 20)
	hash := rdd.HashPartitioner{N: 3}
	for name, c := range map[string]struct {
		of   *lineage.Node
		want rdd.Partitioner
	}{
		"MapValues":                        {rdd.MapValues(r, strings.ToUpper).Node(), two},
		"FlatMapValues":                    {rdd.FlatMapValues(r, strings.Fields).Node(), two},
		"Keys":                             {rdd.Keys(r).Node(), nil},
		"Values":                           {rdd.Values(r).Node(), nil},
		"GroupByKey":                       {rdd.GroupByKey(words(sc)).Node(), hash},
		"GroupByKey where they are":        {rdd.GroupByKey(r).Node(), two},
		"AggregateByKey":                   {rdd.AggregateByKey(r, 0, length, sum, by(3)).Node(), three},
		"FoldByKey":                        {rdd.FoldByKey(other, 0, sum).Node(), three},
		"PartitionBy by default":           {rdd.PartitionBy(words(sc)).Node(), hash},
		"PartitionBy where they are":       {rdd.PartitionBy(r).Node(), two},
		"Join with the larger partitioner": {rdd.Join(r, other).Node(), three},
		"Join with a larger RDD":           {rdd.Join(r, many).Node(), hash},
		"Join by one of many":              {rdd.Join(r, many, by(40)).Node(), forty},
		"Cogroup":                          {rdd.Cogroup(r, numbers(sc)).Node(), two},
		"Cogroup3":                         {rdd.Cogroup3(words(sc), other, r).Node(), three},
		"Cogroup4":                         {rdd.Cogroup4(numbers(sc), words(sc), numbers(sc), r).Node(), two},
		"SubtractByKey":                    {rdd.SubtractByKey(words(sc), other).Node(), three},
		"FullOuterJoin":                    {rdd.FullOuterJoin(words(sc), numbers(sc), rdd.Partitions(3)).Node(), hash},
	} {
		got := c.of.Partitioner
		if (got == nil) != (c.want == nil) || got != nil && (!got.Equal(c.want) || c.of.Partitions != c.want.Partitions()) {
			t.Errorf("%s: %v with %d partitions, want %v", name, got, c.of.Partitions, c.want)
		}
	}
}

// NaN is one key wherever keys are compared.
func TestNaNIsOneKeyOfPairs(t *testing.T) {
	type record = rdd.Pair[float64, int]
	sc := rddtest.NewContext(3)
	left := inParts(sc, [][]record{{{math.NaN(), 1}, {1, 2}}, {{otherNaN, 3}}})
	right := inParts(sc, [][]record{{{2, 4}}, {{otherNaN, 5}}})
	sorted := func(s []string) string { slices.Sort(s); return strings.Join(s, " ") }
	texts := func(r *rdd.RDD[string]) string { return sorted(flat(t, r)) }
	join := rdd.Map(rdd.FullOuterJoin(left, right), func(p rdd.Pair[float64, rdd.Joined[rdd.Option[int], rdd.Option[int]]]) string {
		return fmt.Sprint(p)
	})
	if got, want := texts(join), "{1 {Some(2) None}} {2 {None Some(4)}} {NaN {Some(1) Some(5)}} {NaN {Some(3) Some(5)}}"; got != want {
		t.Errorf("FullOuterJoin: %s, want %s", got, want)
	}
	rest := rdd.Map(rdd.SubtractByKey(left, right), func(p record) string { return fmt.Sprint(p) })
	if got := texts(rest); got != "{1 2}" {
		t.Errorf("SubtractByKey: %s", got)
	}
	for name, r := range map[string]*rdd.RDD[record]{"all": left, "one partition": rdd.PartitionBy(left)} {
		if got, err := rdd.Lookup(r, math.NaN()); err != nil || fmt.Sprint(got) != "[1 3]" {
			t.Errorf("Lookup in %s: %v, %v", name, got, err)
		}
	}
	if got, err := rdd.CollectAsMap(left); err != nil || fmt.Sprint(got) != "map[NaN:3 1:2]" {
		t.Errorf("CollectAsMap: %v, %v", got, err)
	}
	if got, err := rdd.CountByKey(left, rdd.Partitions(1)); err != nil || fmt.Sprint(got) != "[{NaN 2} {1 1}]" {
		t.Errorf("CountByKey: %v, %v", got, err)
	}
}

// What is declared wrongly is said once, with operator and place.
func TestErrorsOfBuildingPairs(t *testing.T) {
	type secret struct{ n int }
	_ = secret{}.n // it is there to be refused
	secrets := func(sc *rdd.Context) *rdd.RDD[rdd.Pair[int, secret]] { return empty[rdd.Pair[int, secret]](sc, 1) }
	pointers := func(sc *rdd.Context) *rdd.RDD[rdd.Pair[*int, string]] { return empty[rdd.Pair[*int, string]](sc, 1) }
	text := func(sc *rdd.Context) *rdd.RDD[rdd.Pair[string, string]] {
		return empty[rdd.Pair[string, string]](sc, 1)
	}
	foreign := numbers(rddtest.NewContext(1))
	endless := func() *node { n := &node{}; n.Next = n; return n }()
	unencodable, noKey := encoding.ErrUnencodable, encoding.ErrUnencodable
	for _, c := range []struct {
		op    string
		build func(sc *rdd.Context) any
		want  error
	}{
		{"mapValues", func(sc *rdd.Context) any { return rdd.MapValues[int, string, int](words(sc), nil) }, rdd.ErrNilFunction},
		{"flatMapValues", func(sc *rdd.Context) any { return rdd.FlatMapValues[int, string, int](words(sc), nil) }, rdd.ErrNilFunction},
		{"aggregateByKey", func(sc *rdd.Context) any { return rdd.AggregateByKey(words(sc), 0, nil, sum) }, rdd.ErrNilFunction},
		{"aggregateByKey", func(sc *rdd.Context) any { return rdd.AggregateByKey(words(sc), 0, length, nil) }, rdd.ErrNilFunction},
		{"aggregateByKey", func(sc *rdd.Context) any {
			return rdd.AggregateByKey(words(sc), secret{}, func(s secret, _ string) secret { return s }, func(s, _ secret) secret { return s })
		}, unencodable},
		{"aggregateByKey", func(sc *rdd.Context) any {
			return rdd.AggregateByKey(words(sc), endless, func(n *node, _ string) *node { return n }, func(n, _ *node) *node { return n })
		}, encoding.ErrTooDeep},
		{"foldByKey", func(sc *rdd.Context) any { return rdd.FoldByKey(words(sc), "", nil) }, rdd.ErrNilFunction},
		{"foldByKey", func(sc *rdd.Context) any {
			return rdd.FoldByKey(pointers(sc), "", func(a, _ string) string { return a })
		}, noKey},
		{"groupByKey", func(sc *rdd.Context) any { return rdd.GroupByKey(words(sc), rdd.Partitions(0)) }, rdd.ErrPartitions},
		{"groupByKey", func(sc *rdd.Context) any { return rdd.GroupByKey(secrets(sc)) }, unencodable},
		{"groupByKey", func(sc *rdd.Context) any { return rdd.GroupByKey(pointers(sc)) }, noKey},
		{"groupByKey", func(sc *rdd.Context) any { return rdd.GroupByKey(text(sc), by(2)) }, rdd.ErrPartitioner},
		{"partitionBy", func(sc *rdd.Context) any { return rdd.PartitionBy(words(sc), rdd.Partitions(-1)) }, rdd.ErrPartitions},
		{"partitionBy", func(sc *rdd.Context) any { return rdd.PartitionBy(text(sc), by(2)) }, rdd.ErrPartitioner},
		{"partitionBy", func(sc *rdd.Context) any { return rdd.PartitionBy(pointers(sc)) }, noKey},
		{"partitionBy", func(sc *rdd.Context) any { return rdd.PartitionBy(secrets(sc)) }, unencodable},
		{"cogroup", func(sc *rdd.Context) any { return rdd.Cogroup[int, string, int](words(sc), nil) }, rdd.ErrNil},
		{"cogroup", func(sc *rdd.Context) any { return rdd.Cogroup(words(sc), secrets(sc)) }, unencodable},
		{"cogroup", func(sc *rdd.Context) any { return rdd.Cogroup3(words(sc), foreign, words(sc)) }, rdd.ErrForeign},
		{"cogroup", func(sc *rdd.Context) any {
			return rdd.Cogroup4(numbers(sc), words(sc), foreign, words(sc))
		}, rdd.ErrForeign},
		{"join", func(sc *rdd.Context) any { return rdd.Join(words(sc), foreign) }, rdd.ErrForeign},
		{"join", func(sc *rdd.Context) any { return rdd.Join(pointers(sc), pointers(sc)) }, noKey},
		{"join", func(sc *rdd.Context) any { return rdd.Join(secrets(sc), secrets(sc)) }, unencodable},
		{"leftOuterJoin", func(sc *rdd.Context) any { return rdd.LeftOuterJoin[int, string, int](words(sc), nil) }, rdd.ErrNil},
		{"rightOuterJoin", func(sc *rdd.Context) any { return rdd.RightOuterJoin(words(sc), numbers(sc), rdd.Partitions(0)) }, rdd.ErrPartitions},
		{"fullOuterJoin", func(sc *rdd.Context) any { return rdd.FullOuterJoin(words(sc), foreign) }, rdd.ErrForeign},
		{"subtractByKey", func(sc *rdd.Context) any { return rdd.SubtractByKey[int, string, int](words(sc), nil) }, rdd.ErrNil},
		{"subtractByKey", func(sc *rdd.Context) any { return rdd.SubtractByKey(secrets(sc), numbers(sc)) }, unencodable},
		{"countByKey", func(sc *rdd.Context) any { _, err := rdd.CountByKey(words(sc), rdd.Partitions(0)); return err }, rdd.ErrPartitions},
		{"countByKey", func(sc *rdd.Context) any { _, err := rdd.CountByKey(pointers(sc)); return err }, noKey},
		{"lookup", func(sc *rdd.Context) any { _, err := rdd.Lookup(pointers(sc), new(int)); return err }, noKey},
		{"lookup", func(sc *rdd.Context) any { _, err := rdd.Lookup(secrets(sc), 1); return err }, unencodable},
		{"lookup", func(sc *rdd.Context) any {
			_, err := rdd.Lookup(rdd.PartitionBy(words(sc), by(2)), -1) // modulo puts it into partition -1
			return err
		}, rdd.ErrPartitioner},
		{"collectAsMap", func(sc *rdd.Context) any { _, err := rdd.CollectAsMap(pointers(sc)); return err }, noKey},
		{"collectAsMap", func(sc *rdd.Context) any { _, err := rdd.CollectAsMap(secrets(sc)); return err }, unencodable},
	} {
		sc := rddtest.NewContext(2)
		err, _ := c.build(sc).(error)
		if err == nil {
			err = sc.Lineage().Err()
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.op+" at rdd/pairs_test.go:") || strings.Count(err.Error(), "\n") != 0 {
			t.Errorf("%s: %v, want %v", c.op, err, c.want)
		}
	}
	// Of what is subtracted only the keys are moved.
	sc := rddtest.NewContext(2)
	rdd.SubtractByKey(words(sc), secrets(sc))
	if err := sc.Lineage().Err(); err != nil {
		t.Error(err)
	}
}

type node struct{ Next *node }

// An error of what an operator reads is its sequence's last element, from either side.
func TestErrorsOfPairs(t *testing.T) {
	broken := errors.New("the disk is gone")
	sc := rddtest.NewContext(1)
	bad := rdd.Source(sc, "broken", lineage.Site{}, 1, func(*task.Context, int) iter.Seq2[number, error] {
		return func(yield func(number, error) bool) {
			if yield(number{Key: 1, Value: 1}, nil) && yield(number{}, broken) {
				t.Error("an operator reads on after an error")
			}
		}
	})
	good := numbers(sc)
	here := rdd.PartitionBy(good)
	same := func(i int) int { return i }
	for name, err := range map[string]error{
		"MapValues":      failure(rdd.MapValues(bad, same)),
		"FlatMapValues":  failure(rdd.FlatMapValues(bad, func(i int) []int { return []int{i} })),
		"Keys":           failure(rdd.Keys(bad)),
		"Values":         failure(rdd.Values(bad)),
		"GroupByKey":     failure(rdd.GroupByKey(bad)),
		"AggregateByKey": failure(rdd.AggregateByKey(bad, 0, sum, sum)),
		"FoldByKey":      failure(rdd.FoldByKey(bad, 0, sum)),
		"PartitionBy":    failure(rdd.PartitionBy(bad)),
		"Cogroup left":   failure(rdd.Cogroup(bad, good)),
		"Cogroup right":  failure(rdd.Cogroup(here, bad)),
		"Cogroup3":       failure(rdd.Cogroup3(good, here, bad)),
		"Join":           failure(rdd.Join(here, bad)),
		"FullOuterJoin":  failure(rdd.FullOuterJoin(bad, good)),
		"SubtractByKey":  failure(rdd.SubtractByKey(here, bad)),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, counted := rdd.CountByKey(bad)
	_, collected := rdd.CollectAsMap(bad)
	_, found := rdd.Lookup(bad, 7)
	for name, err := range map[string]error{"CountByKey": counted, "CollectAsMap": collected, "Lookup": found} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func failure[T any](r *rdd.RDD[T]) error {
	_, err := rddtest.Glom(r)
	return err
}

// What many records are made of one ends soon after its task was killed.
func TestKilledPairs(t *testing.T) {
	const n = 100_000
	sc := rddtest.NewContext(1)
	one := inParts(sc, [][]number{{{1, 1}}})
	many := inParts(sc, [][]number{make([]number, n)})
	ones := rdd.MapValues(rdd.Map(many, func(number) number { return number{1, 0} }), func(i int) int { return i })
	for name, in := range map[string]*rdd.RDD[int]{
		"FlatMapValues": rdd.Keys(rdd.FlatMapValues(one, func(int) []int { return make([]int, n) })),
		"Join":          rdd.Keys(rdd.Join(one, ones)),
		"SubtractByKey": rdd.Keys(rdd.SubtractByKey(many, one)),
	} {
		killed := errors.New("killed")
		ctx, kill := context.WithCancelCause(t.Context())
		seen := 0
		r := rdd.Map(in, func(i int) int { seen++; kill(killed); return i })
		e := rddtest.NewReference()
		if err := e.Prepare(r.Node()); err != nil {
			t.Fatal(err)
		}
		tc := e.Task(r.Node(), 0)
		tc.Context = ctx
		var last error
		for _, err := range r.Compute(tc, 0) {
			last = err
		}
		if !errors.Is(last, killed) || seen == 0 || seen > 64 {
			t.Errorf("%s: %d records after the kill, then %v", name, seen, last)
		}
	}
}

// A panic is blamed on the operator whose function it comes from.
func TestBlameOfPairs(t *testing.T) {
	boom := func(int, int) int { panic("boom") }
	spread := func(sc *rdd.Context) *rdd.RDD[number] { return rdd.PartitionBy(numbers(sc), by(2)) }
	for name, c := range map[string]struct {
		of func(sc *rdd.Context) *rdd.RDD[number]
		op string
	}{
		"MapValues": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.MapValues(numbers(sc), func(int) int { panic("boom") })
		}, "mapValues"},
		"FlatMapValues": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.FlatMapValues(numbers(sc), func(int) []int { panic("boom") })
		}, "flatMapValues"},
		"AggregateByKey, writing": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.AggregateByKey(numbers(sc), 0, boom, sum)
		}, "aggregateByKey"},
		"AggregateByKey, reading": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.AggregateByKey(numbers(sc), 0, sum, boom)
		}, "aggregateByKey"},
		"FoldByKey where the keys are": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.FoldByKey(spread(sc), 0, boom)
		}, "foldByKey"},
		"what a join reads": {func(sc *rdd.Context) *rdd.RDD[number] {
			return rdd.SubtractByKey(rdd.MapValues(spread(sc), func(int) int { panic("boom") }), numbers(sc))
		}, "mapValues"},
	} {
		sc := rddtest.NewContext(2)
		_, err := rdd.Collect(c.of(sc))
		if p, ok := errors.AsType[*rdd.PanicError](err); !ok || p.Op != c.op || !strings.Contains(p.Cause(), "panic at rdd/pairs_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unreadable can be written.
type unreadable int

func (u unreadable) MarshalText() ([]byte, error) { return fmt.Append(nil, int(u)), nil }
func (u *unreadable) UnmarshalText([]byte) error  { panic("it broke") }

// A record of a shuffle that can't be read isn't blamed on what the join reads beside it.
func TestBlameOfAJoinsDecoder(t *testing.T) {
	sc := rddtest.NewContext(2)
	left := inParts(sc, [][]number{{{1, 1}}})
	left.Node().Partitioner = modulo(1) // a source whose keys are where they belong
	right := rdd.MapValues(numbers(sc), func(i int) unreadable { return unreadable(i) })
	_, err := rdd.Collect(rdd.Keys(rdd.Join(left, right)))
	if p, ok := errors.AsType[*rdd.PanicError](err); !ok || p.Op != "" {
		t.Errorf("%v", err)
	}
}

// What pairs are joined and grouped into is encoded without losing anything.
func TestEncodingOfPairs(t *testing.T) {
	comesBack(t, rdd.Some("a"))
	comesBack(t, rdd.None[string]())
	comesBack(t, rdd.Some(rdd.None[[]int]()))
	comesBack(t, rdd.Some[[]int](nil))
	comesBack(t, rdd.Joined[string, rdd.Option[int]]{Left: "a", Right: rdd.Some(0)})
	comesBack(t, rdd.Joined[rdd.Option[string], rdd.Option[int]]{Right: rdd.Some(7)})
	comesBack(t, rdd.Grouped2[string, float64]{First: []string{"a", ""}, Second: nil})
	comesBack(t, rdd.Grouped3[string, int, number]{Second: []int{1}, Third: []number{{1, 2}}})
	comesBack(t, rdd.Grouped4[int, []int, string, bool]{First: []int{}, Second: [][]int{{1}, nil}, Fourth: []bool{true}})
	comesBack(t, rdd.KV("k", rdd.Joined[int, rdd.Grouped2[int, int]]{1, rdd.Grouped2[int, int]{First: []int{2}}}))
	comesBack(t, []rdd.Option[int]{rdd.Some(1), rdd.None[int]()})
	if rdd.Some(1).Or(2) != 1 || rdd.None[int]().Or(2) != 2 {
		t.Error("Or")
	}
}

// comesBack checks that a value is equal when it was encoded, and that no part of its
// encoding is taken for one.
func comesBack[T any](t *testing.T, want T) {
	t.Helper()
	codec, err := encoding.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	if got, rest, err := codec.Decode(append(slices.Clone(b), 1)); err != nil || len(rest) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v came back as %#v, %v, %v", want, got, rest, err)
	}
	for n := range b {
		if got, _, err := codec.Decode(b[:n]); err == nil {
			t.Errorf("%d of %d bytes of %#v were taken for %#v", n, len(b), want, got)
		}
	}
	wrong := append(encoding.AppendArrayLen(nil, 9), b...)
	if got, _, err := codec.Decode(wrong); err == nil && reflect.TypeFor[T]().Kind() == reflect.Struct {
		t.Errorf("an array of 9 was taken for %#v", got)
	}
}
