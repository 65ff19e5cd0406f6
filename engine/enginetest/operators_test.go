package enginetest_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

var errOdd = errors.New("three is refused")

func add(a, b int) int    { return a + b }
func times10(v int) int   { return 10 * v }
func down(a, b int) int   { return cmp.Compare(b, a) }
func remainder(v int) int { return v % 3 }

// counted returns a function that yields what it is given and counts the bytes that came
// from other processes for it.
func counted[T any](g given) func(rdd.Part, iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(p rdd.Part, in iter.Seq2[T, error]) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			in(yield)
			g.remote.Add(p, int(p.Task().Counted().ShuffleRemote))
		}
	}
}

// fourToNine are numbers that other ones are compared with.
func fourToNine(g given) *rdd.RDD[int] { return rdd.Range(g.sc, 4, 10, 1, rdd.Partitions(2)) }

// total adds the numbers of a partition.
func total(in iter.Seq[int]) (sum int) {
	for v := range in {
		sum += v
	}
	return sum
}

func yieldOne[T any](v T) iter.Seq[T] { return func(yield func(T) bool) { yield(v) } }

func refuseThree(v int) error {
	if v == 3 {
		return errOdd
	}
	return nil
}

var narrowOperators = []operator{
	{"Map", "10 20 30 40 50 60", func(g given) (any, error) { return rows(g, rdd.Map(g.n, times10)) }},
	{"FlatMap", "1 2 2 4 5 5", func(g given) (any, error) {
		return rows(g, rdd.FlatMap(g.n, func(v int) []int { return []int{v, v}[:v%3] }))
	}},
	{"FlatMapSeq", "1 2 3 4 5 6", func(g given) (any, error) { return rows(g, rdd.FlatMapSeq(g.n, yieldOne[int])) }},
	{"Filter", "2 4 6", func(g given) (any, error) { return rows(g, g.n.Filter(func(v int) bool { return v%2 == 0 })) }},
	{"MapPartitions", "3 7 11", func(g given) (any, error) {
		return rows(g, rdd.MapPartitions(g.n, func(_ rdd.Part, in iter.Seq[int]) iter.Seq[int] { return yieldOne(total(in)) }))
	}},
	{"TryMapPartitions", "1 2 3 4 5 6", func(g given) (any, error) {
		return rows(g, rdd.TryMapPartitions(g.n, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] { return in }))
	}},
	{"TryMap", "10 20 40 50 60", func(g given) (any, error) {
		return rows(g, rdd.TryMap(g.n, func(v int) (int, error) { return 10 * v, refuseThree(v) }, rdd.OnBadRecord(rdd.Skip())))
	}},
	{"TryFlatMap", "1 1 2 2 4 4 5 5 6 6", func(g given) (any, error) {
		return rows(g, rdd.TryFlatMap(g.n, func(v int) ([]int, error) { return []int{v, v}, refuseThree(v) }, rdd.OnBadRecord(rdd.Skip())))
	}},
	{"TryFilter", "1 5", func(g given) (any, error) {
		return rows(g, g.n.TryFilter(func(v int) (bool, error) { return v%2 == 1, refuseThree(v) }, rdd.OnBadRecord(rdd.Skip())))
	}},
	{"Glom", "[1 2] [3 4] [5 6]", func(g given) (any, error) { return rows(g, rdd.Glom(g.n)) }},
	{"Batch", "[1 2 3 4] [5 6]", func(g given) (any, error) { return rows(g, rdd.Batch(g.n.Coalesce(1), 4)) }},
	{"Coalesce", "[1 2] [3 4 5 6]", func(g given) (any, error) { return rows(g, rdd.Glom(g.n.Coalesce(2))) }},
	{"Union", "1 2 3 4 5 6 10 20 30 40 50 60", func(g given) (any, error) { return rows(g, g.n.Union(rdd.Map(g.n, times10))) }},
	{"Sample", "1 2 3 4 5 6", func(g given) (any, error) { return rows(g, g.n.Sample(false, 1, 7)) }},
	{"RandomSplit", "6 and 0", func(g given) (any, error) {
		split := g.n.RandomSplit([]float64{1, 0}, 7)
		all, err := rdd.Count(split[0])
		none, err2 := rdd.Count(split[1])
		return fmt.Sprint(all, " and ", none), errors.Join(err, err2)
	}},
	{"Cartesian", "{1 4} {1 5} {2 4} {2 5}", func(g given) (any, error) {
		return bag(g, rdd.Cartesian(g.n.Filter(func(v int) bool { return v < 3 }), fourToNine(g).Filter(func(v int) bool { return v < 6 })))
	}},
	{"Zip", "{1 10} {2 20} {3 30} {4 40} {5 50} {6 60}", func(g given) (any, error) { return rows(g, rdd.Zip(g.n, rdd.Map(g.n, times10))) }},
	{"ZipPartitions", "30 70 110", func(g given) (any, error) {
		return rows(g, rdd.ZipPartitions(g.n, rdd.Map(g.n, times10), func(_ rdd.Part, _, right iter.Seq[int]) iter.Seq[int] { return yieldOne(total(right)) }))
	}},
	{"ZipWithIndex", "{0 1} {1 2} {2 3} {3 4} {4 5} {5 6}", func(g given) (any, error) { return rows(g, rdd.ZipWithIndex(g.n)) }},
	{"ZipWithUniqueID", "{0 1} {3 2} {1 3} {4 4} {2 5} {5 6}", func(g given) (any, error) { return rows(g, rdd.ZipWithUniqueID(g.n)) }},
	{"KeyBy", "{1 1} {2 2} {0 3} {1 4} {2 5} {0 6}", func(g given) (any, error) { return rows(g, rdd.KeyBy(g.n, remainder)) }},
	{"Pipe", "1 2 3 4 5 6", func(g given) (any, error) {
		return rows(g, rdd.Pipe(rdd.Map(g.n, func(v int) string { return fmt.Sprint(v) }), []string{"cat"}))
	}},
	{"Range", "4 5 6 7 8 9", func(g given) (any, error) { return rows(g, fourToNine(g)) }},
	{"Parallelize", "1 2 3", func(g given) (any, error) { return rows(g, rdd.Parallelize(g.sc, []int{1, 2, 3})) }},
	{"Source", "0 1 2", func(g given) (any, error) {
		return rows(g, rdd.Source(g.sc, "numbers", g.sc.Lineage().Site(), 3, func(_ *task.Context, p int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) { yield(p, nil) }
		}))
	}},
	{"Cache", "21 21", func(g given) (any, error) { return twice(g.n.Cache()) }},
	{"Persist", "21 21", func(g given) (any, error) { return twice(g.n.Persist(rdd.DiskOnly)) }},
	{"Unpersist", "21 21", func(g given) (any, error) {
		if _, err := rdd.Count(g.n.Cache()); err != nil {
			return nil, err
		}
		return twice(g.n.Unpersist())
	}},
	{"LocalCheckpoint", "21 21", func(g given) (any, error) {
		kept, err := g.n.LocalCheckpoint()
		if err != nil {
			return nil, err
		}
		return twice(kept)
	}},
	{"Indeterminate", "21 21", func(g given) (any, error) { return twice(g.n.Indeterminate()) }},
}

// twice adds an RDD's numbers by two actions.
func twice(r *rdd.RDD[int]) (any, error) {
	a, err := rdd.Sum(r)
	b, err2 := rdd.Sum(r)
	return fmt.Sprint(a, " ", b), errors.Join(err, err2)
}

var shuffleOperators = []operator{
	{"Repartition", "1 2 3 4 5 6", func(g given) (any, error) { return bag(g, g.n.Repartition(4)) }},
	{"Intersection", "4 5 6", func(g given) (any, error) { return bag(g, rdd.Intersection(g.n, fourToNine(g))) }},
	{"Subtract", "1 2 3", func(g given) (any, error) { return bag(g, rdd.Subtract(g.n, fourToNine(g))) }},
	{"Distinct", "0 1 2", func(g given) (any, error) { return bag(g, rdd.Distinct(rdd.Map(g.n, remainder))) }},
	{"SortBy", "6 5 4 3 2 1", func(g given) (any, error) { return rows(g, rdd.SortBy(g.n, func(v int) int { return -v })) }},
	{"SortByFunc", "6 5 4 3 2 1", func(g given) (any, error) { return rows(g, rdd.SortByFunc(g.n, down)) }},
	{"GroupBy", "{0 [3 6]} {1 [1 4]} {2 [2 5]}", func(g given) (any, error) { return bag(g, rdd.GroupBy(g.n, remainder)) }},
	{"Counted", "6", func(g given) (any, error) { return rows(g, rdd.Counted(g.n)) }},
	{"CountedByValue", "{0 2} {1 2} {2 2}", func(g given) (any, error) { return bag(g, rdd.CountedByValue(rdd.Map(g.n, remainder))) }},
	{"Reduced", "21", func(g given) (any, error) { return rows(g, rdd.Reduced(g.n, add)) }},
}

func list(v int) []int { return []int{v} }

var pairOperators = []operator{
	{"MapValues", "{1 10} {2 20} {0 30} {1 40} {2 50} {0 60}", func(g given) (any, error) { return rows(g, rdd.MapValues(g.pairs, times10)) }},
	{"FlatMapValues", "{1 1} {2 2} {2 2} {1 4} {2 5} {2 5}", func(g given) (any, error) {
		return rows(g, rdd.FlatMapValues(g.pairs, func(v int) []int { return []int{v, v}[:v%3] }))
	}},
	{"Keys", "1 2 0 1 2 0", func(g given) (any, error) { return rows(g, rdd.Keys(g.pairs)) }},
	{"Values", "1 2 3 4 5 6", func(g given) (any, error) { return rows(g, rdd.Values(g.pairs)) }},
	{"ReduceByKey", "{0 9} {1 5} {2 7}", func(g given) (any, error) { return bag(g, rdd.ReduceByKey(g.pairs, add)) }},
	{"FoldByKey", "{0 9} {1 5} {2 7}", func(g given) (any, error) { return bag(g, rdd.FoldByKey(g.pairs, 0, add)) }},
	{"AggregateByKey", "{0 9} {1 5} {2 7}", func(g given) (any, error) { return bag(g, rdd.AggregateByKey(g.pairs, 0, add, add)) }},
	{"CombineByKey", "{0 [3 6]} {1 [1 4]} {2 [2 5]}", func(g given) (any, error) {
		return bag(g, rdd.CombineByKey(g.pairs, list,
			func(all []int, v int) []int { return append(all, v) }, func(a, b []int) []int { return append(a, b...) }))
	}},
	{"GroupByKey", "{0 [3 6]} {1 [1 4]} {2 [2 5]}", func(g given) (any, error) { return bag(g, rdd.GroupByKey(g.pairs)) }},
	{"SortByKey", "{0 3} {0 6} {1 1} {1 4} {2 2} {2 5}", func(g given) (any, error) { return rows(g, rdd.SortByKey(g.pairs)) }},
	{"PartitionBy", "{0 3} {0 6} {1 1} {1 4} {2 2} {2 5}", func(g given) (any, error) { return bag(g, rdd.PartitionBy(g.pairs)) }},
	{"RepartitionAndSortWithinPartitions", "{0 3} {0 6} {1 1} {1 4} {2 2} {2 5}", func(g given) (any, error) {
		return rows(g, rdd.RepartitionAndSortWithinPartitions(g.pairs, rdd.HashPartitioner{N: 1}))
	}},
	{"Join", "{1 {1 100}} {1 {4 100}}", func(g given) (any, error) { return bag(g, rdd.Join(g.pairs, g.other)) }},
	{"LeftOuterJoin", "{0 {3 None}} {0 {6 None}} {1 {1 Some(100)}} {1 {4 Some(100)}} {2 {2 None}} {2 {5 None}}", func(g given) (any, error) {
		return bag(g, rdd.LeftOuterJoin(g.pairs, g.other))
	}},
	{"RightOuterJoin", "{1 {Some(1) 100}} {1 {Some(4) 100}} {3 {None 300}}", func(g given) (any, error) {
		return bag(g, rdd.RightOuterJoin(g.pairs, g.other))
	}},
	{"FullOuterJoin", "{0 {Some(3) None}} {0 {Some(6) None}} {1 {Some(1) Some(100)}} {1 {Some(4) Some(100)}} {2 {Some(2) None}} {2 {Some(5) None}} {3 {None Some(300)}}",
		func(g given) (any, error) { return bag(g, rdd.FullOuterJoin(g.pairs, g.other)) }},
	{"Cogroup", "{0 {[3 6] []}} {1 {[1 4] [100]}} {2 {[2 5] []}} {3 {[] [300]}}", func(g given) (any, error) {
		return bag(g, rdd.Cogroup(g.pairs, g.other))
	}},
	{"Cogroup3", "{0 {[3 6] [] []}} {1 {[1 4] [100] [100]}} {2 {[2 5] [] []}} {3 {[] [300] [300]}}", func(g given) (any, error) {
		return bag(g, rdd.Cogroup3(g.pairs, g.other, g.other))
	}},
	{"Cogroup4", "{0 {[3 6] [] [] [3 6]}} {1 {[1 4] [100] [100] [1 4]}} {2 {[2 5] [] [] [2 5]}} {3 {[] [300] [300] []}}", func(g given) (any, error) {
		return bag(g, rdd.Cogroup4(g.pairs, g.other, g.other, g.pairs))
	}},
	{"SubtractByKey", "{0 3} {0 6} {2 2} {2 5}", func(g given) (any, error) { return bag(g, rdd.SubtractByKey(g.pairs, g.other)) }},
	{"SampleByKey", "{2 2} {0 3} {2 5} {0 6}", func(g given) (any, error) {
		return rows(g, rdd.SampleByKey(g.pairs, false, map[int]float64{0: 1, 1: 0, 2: 1}, 7))
	}},
	{"Lookup", "[1 4]", func(g given) (any, error) { return rdd.Lookup(g.pairs, 1) }},
	{"CountByKey", "{0 2} {1 2} {2 2}", func(g given) (any, error) {
		counts, err := rdd.CountByKey(g.pairs)
		return asText(counts), err
	}},
	{"CollectAsMap", "map[1:100 3:300]", func(g given) (any, error) { return rdd.CollectAsMap(g.other) }},
}

var actions = []operator{
	{"Collect", "[1 2 3 4 5 6]", func(g given) (any, error) { return rdd.Collect(g.n) }},
	{"Count", "6", func(g given) (any, error) { return rdd.Count(g.n) }},
	{"CountByValue", "{0 2} {1 2} {2 2}", func(g given) (any, error) {
		counts, err := rdd.CountByValue(rdd.Map(g.n, remainder))
		return asText(counts), err
	}},
	{"First", "1", func(g given) (any, error) { return rdd.First(g.n) }},
	{"Take", "[1 2 3]", func(g given) (any, error) { return rdd.Take(g.n, 3) }},
	{"Top", "[6 5]", func(g given) (any, error) { return rdd.Top(g.n, 2) }},
	{"TopFunc", "[1 2]", func(g given) (any, error) { return rdd.TopFunc(g.n, 2, down) }},
	{"TakeOrdered", "[1 2]", func(g given) (any, error) { return rdd.TakeOrdered(g.n, 2) }},
	{"TakeOrderedFunc", "[6 5]", func(g given) (any, error) { return rdd.TakeOrderedFunc(g.n, 2, down) }},
	{"TakeSample", "1 2 3 4 5 6", func(g given) (any, error) {
		all, err := rdd.TakeSample(g.n, 6, 7)
		return asText(all), err
	}},
	{"TakeSampleWithReplacement", "9", func(g given) (any, error) {
		some, err := rdd.TakeSampleWithReplacement(g.n, 9, 7)
		return len(some), err
	}},
	{"Reduce", "21", func(g given) (any, error) { return rdd.Reduce(g.n, add) }},
	{"Fold", "61", func(g given) (any, error) { return rdd.Fold(g.n, 10, add) }}, // 10 in 3 partitions and on the driver
	{"Aggregate", "91", func(g given) (any, error) {
		return rdd.Aggregate(g.n, 0, func(sum, v int) int { return sum + v*v }, add)
	}},
	{"TreeReduce", "21", func(g given) (any, error) { return rdd.TreeReduce(g.n, add, 2) }},
	{"TreeAggregate", "91", func(g given) (any, error) {
		return rdd.TreeAggregate(g.n, 0, func(sum, v int) int { return sum + v*v }, add, 2)
	}},
	{"ForEach", "", func(g given) (any, error) { return "", rdd.ForEach(g.n, func(int) error { return nil }) }},
	{"ForEachPartition", "3", func(g given) (any, error) {
		partitions := rdd.NewSum[int](g.sc, "partitions")
		err := rdd.ForEachPartition(g.n, func(p rdd.Part, rows iter.Seq2[int, error]) error {
			for _, err := range rows {
				if err != nil {
					return err
				}
			}
			partitions.Add(p, 1)
			return nil
		})
		return onDriver(g, partitions, err)
	}},
	{"ToLocalIterator", "[1 2 3 4 5 6]", func(g given) (any, error) {
		var all []int
		for v, err := range rdd.ToLocalIterator(g.n) {
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}},
	{"IsEmpty", "false", func(g given) (any, error) { return rdd.IsEmpty(g.n) }},
	{"Max", "6", func(g given) (any, error) { return rdd.Max(g.n) }},
	{"Min", "1", func(g given) (any, error) { return rdd.Min(g.n) }},
	{"MaxFunc", "1", func(g given) (any, error) { return rdd.MaxFunc(g.n, down) }},
	{"MinFunc", "6", func(g given) (any, error) { return rdd.MinFunc(g.n, down) }},
	{"Sum", "21", func(g given) (any, error) { return rdd.Sum(g.n) }},
	{"Mean", "3.5", func(g given) (any, error) { return rdd.Mean(g.n) }},
	{"Stats", "6 3.5 1 6 17.5", func(g given) (any, error) {
		s, err := rdd.Stats(g.n)
		return fmt.Sprint(s.Count, s.Mean, s.Min, s.Max, s.M2), err
	}},
	{"Histogram", "{[1 3.5 6] [3 3]}", func(g given) (any, error) { return rdd.Histogram(g.n, 2) }},
	{"HistogramWithin", "{[0 3 10] [2 4]}", func(g given) (any, error) { return rdd.HistogramWithin(g.n, 0, 3, 10) }},
}

// onDriver returns a counter's value, in the driver.
func onDriver(g given, counter *rdd.Accumulator[int], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return rdd.TryValue(g.sc, func() (int, error) { return counter.Value(), nil })
}

// person is an element of a file.
type person struct {
	Name string
	Age  int
}

// written has the driver write a file, and returns its path.
func written(g given, name, text string) (string, error) {
	path := filepath.Join(g.dir, name)
	return rdd.TryValue(g.sc, func() (string, error) {
		return path, errors.Join(os.MkdirAll(g.dir, 0o700), os.WriteFile(path, []byte(text), 0o600))
	})
}

// reading shows an RDD that is read from a file with the given text.
func reading[T any](name, text string, read func(g given, path string) *rdd.RDD[T]) func(g given) (any, error) {
	return func(g given) (any, error) {
		path, err := written(g, name, text)
		if err != nil {
			return nil, err
		}
		return rows(g, read(g, path))
	}
}

var fileOperators = []operator{
	{"TextFile", "a b c", reading("text.txt", "a\nb\nc\n", func(g given, path string) *rdd.RDD[string] { return rdd.TextFile(g.sc, path) })},
	{"WholeTextFiles", "a;b;", reading("text.txt", "a;b;", func(g given, path string) *rdd.RDD[string] {
		return rdd.Values(rdd.WholeTextFiles(g.sc, path))
	})},
	{"BinaryFiles", "ab", reading("bytes", "ab", func(g given, path string) *rdd.RDD[string] {
		return rdd.Map(rdd.BinaryFiles(g.sc, path), func(f rdd.Pair[string, []byte]) string { return string(f.Value) })
	})},
	{"CSV", "{Ada 36} {Cy 7}", reading("people.csv", "Name,Age\nAda,36\nCy,7\n", func(g given, path string) *rdd.RDD[person] {
		return rdd.CSV[person](g.sc, path)
	})},
	{"JSONLines", "{Ada 36} {Cy 7}", reading("people.jsonl", "{\"Name\":\"Ada\",\"Age\":36}\n{\"Name\":\"Cy\",\"Age\":7}\n", func(g given, path string) *rdd.RDD[person] {
		return rdd.JSONLines[person](g.sc, path)
	})},
	{"SaveAsTextFile", "1 2 3 4 5 6", func(g given) (any, error) {
		if err := rdd.SaveAsTextFile(g.n, g.dir); err != nil {
			return nil, err
		}
		return rows(g, rdd.TextFile(g.sc, g.dir))
	}},
	{"SaveAsObjectFile", "1 2 3 4 5 6", saved},
	{"ObjectFile", "1 2 3 4 5 6", saved},
	{"Checkpoint", "1 2 3 4 5 6", func(g given) (any, error) {
		r, err := g.n.Checkpoint()
		if err != nil {
			return nil, err
		}
		return rows(g, r)
	}},
	{"CheckpointAs", "1 2 3 4 5 6", func(g given) (any, error) {
		r, err := g.n.CheckpointAs("as", 1)
		if err != nil {
			return nil, err
		}
		return rows(g, r)
	}},
	{"FromCheckpoint", "1 2 3 4 5 6", func(g given) (any, error) {
		g.sc.SetCheckpointDir(g.dir)
		if _, err := g.n.CheckpointAs("from", 1); err != nil {
			return nil, err
		}
		return rows(g, rdd.FromCheckpoint[int](g.sc, filepath.Join(g.dir, "from", "1")))
	}},
	{"LastCheckpoint", "2", func(g given) (any, error) {
		for n := range 2 {
			if _, err := g.n.CheckpointAs("last", n+1); err != nil {
				return nil, err
			}
		}
		_, n, err := rdd.LastCheckpoint[int](g.sc, "last")
		return n, err
	}},
}

// saved saves objects and shows what is read back.
func saved(g given) (any, error) {
	if err := rdd.SaveAsObjectFile(g.n, g.dir); err != nil {
		return nil, err
	}
	return rows(g, rdd.ObjectFile[int](g.sc, g.dir))
}

var sharedOperators = []operator{
	{"NewBroadcast", "101 102 103 104 105 106", func(g given) (any, error) {
		hundred := rdd.NewBroadcast(g.sc, 100)
		return rows(g, rdd.Map(g.n, func(v int) int { return v + hundred.Value() }))
	}},
	{"NewAccumulator", "720", func(g given) (any, error) {
		product := rdd.NewAccumulator(g.sc, "product", 1, func(a, b int) int { return a * b })
		return onDriver(g, product, adding(g, product))
	}},
	{"NewSum", "21", func(g given) (any, error) {
		sum := rdd.NewSum[int](g.sc, "sum")
		return onDriver(g, sum, adding(g, sum))
	}},
	{"Value", "5", func(g given) (any, error) { return rdd.Value(g.sc, func() int { return 5 }), nil }},
	{"TryValue", "5", func(g given) (any, error) { return rdd.TryValue(g.sc, func() (int, error) { return 5, nil }) }},
}

// adding adds the numbers to an accumulator.
func adding(g given, to *rdd.Accumulator[int]) error {
	_, err := rdd.Count(rdd.MapPartitions(g.n, func(p rdd.Part, in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			for v := range in {
				if to.Add(p, v); !yield(v) {
					return
				}
			}
		}
	}))
	return err
}
