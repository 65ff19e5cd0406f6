package rdd_test

import (
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// partitions yields the partition that an operator's context names, and the one
// that a context of its own says when the sequence is read.
func partitions(r *rdd.RDD[int]) *rdd.RDD[string] {
	return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[int, error]) iter.Seq2[string, error] {
		tc := part.Task()
		before := tc.Partition
		return func(yield func(string, error) bool) {
			for _, err := range in {
				if err != nil {
					yield("", err)
					return
				}
			}
			yield(fmt.Sprint(before, tc.Partition), nil)
		}
	})
}

// An operator sees its own partitions, not those of the union it goes into, and
// what is counted below a union is the task's.
func TestPartitionBelowUnion(t *testing.T) {
	l := rddtest.NewBatch(1, 2)
	a, b, c := partitions(ints(l, 4, 2)), partitions(ints(l, 4, 2)), partitions(ints(l, 1, 1))
	check(t, a.Union(b), [][]string{{"0 0"}, {"1 1"}, {"0 0"}, {"1 1"}})
	check(t, c.Union(a.Union(b).Cache()), [][]string{{"0 0"}, {"0 0"}, {"1 1"}, {"0 0"}, {"1 1"}})
	above := partitions(rdd.Map(c.Union(a), func(string) int { return 0 }))
	check(t, above, [][]string{{"0 0"}, {"1 1"}, {"2 2"}})

	source := func(records int64) *rdd.RDD[int] {
		return rdd.Source(l, "source", lineage.Site{}, 2, func(tc *task.Context, p int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				tc.Metrics.RecordsRead += records
				yield(p, nil)
			}
		})
	}
	u := source(1).Union(source(10), source(100))
	read := int64(0)
	for p := range u.Node().Partitions {
		tc := rddtest.NewReference().Task(&lineage.Node{}, p)
		for _, err := range u.Compute(tc, p) {
			if err != nil {
				t.Fatal(err)
			}
		}
		read += tc.Counted().RecordsRead
	}
	if read != 222 {
		t.Errorf("%d records were counted", read)
	}
}

// What tasks ask of RDDs when they are planned changes nothing and is told.
func TestOperatorsInTasksAreTold(t *testing.T) {
	l := rddtest.NewBatch(1, 1)
	in := ints(l, 4, 2)
	var mu sync.Mutex
	var told []string
	l.Lineage().OnLate(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	})
	l.Lineage().Freeze("it is too late")
	hash := l.Lineage().Hash()
	var tasks sync.WaitGroup
	for range 4 {
		tasks.Go(func() {
			rdd.Map(in, func(i int) int { return i })
			rdd.CountedByValue(in, rdd.Partitions(2))
			in.Union(in)
			in.Cache()
			rdd.Parallelize(l, []int{1}, rdd.Partitions(1))
		})
	}
	tasks.Wait()
	all := strings.Join(told, "\n")
	for _, op := range []string{"map", "countByValue", "union", "cache", "parallelize"} {
		want := 4
		if op == "map" {
			want = 8 // countByValue is one of pairs
		}
		if n := strings.Count(all, op+" at rdd/task_test.go:"); n != want {
			t.Errorf("%s was told %d times", op, n)
		}
	}
	if in.Node().Cached() || l.Lineage().Hash() != hash || len(l.Lineage().Nodes()) != 1 || l.Lineage().Err() == nil {
		t.Errorf("cached %v, %d nodes, %v", in.Node().Cached(), len(l.Lineage().Nodes()), l.Lineage().Err())
	}
}

// Two lineages that differ in functions only are told apart.
func TestFunctionsAreInTheLineage(t *testing.T) {
	double, neg := func(i int) int { return 2 * i }, func(i int) int { return -i }
	build := func(fs ...func(int) int) *rdd.Context {
		l := rddtest.NewBatch(1, 1)
		for _, f := range fs {
			rdd.Map(ints(l, 1, 1), f)
		}
		return l
	}
	a, same, b := build(double, neg), build(double, neg), build(neg, double)
	if a.Lineage().Hash() != same.Lineage().Hash() || a.Lineage().Hash() == b.Lineage().Hash() || lineage.Diff("a", a.Lineage().Describe(), "b", b.Lineage().Describe()) == "" {
		t.Errorf("%s", lineage.Diff("a", a.Lineage().Describe(), "b", b.Lineage().Describe()))
	}
}

// A partition may be made of very many, each with a context of its own.
func TestManyPartitionsInATask(t *testing.T) {
	const n = 200_000 // took minutes when each was looked for
	tc := rddtest.NewReference().Task(&lineage.Node{}, 0)
	for p := range n {
		tc.At(p).Metrics.RecordsRead++
		tc.At(p/2).At(p).Metrics.RecordsRead++
	}
	if read := tc.Counted().RecordsRead; read != 2*n || tc.At(0) != tc {
		t.Errorf("%d records were read, not %d", read, 2*n)
	}
}
