package rdd

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// SortBy sorts by the key that f returns for each element: elements of one partition
// are in order, and none is before those of the partitions before it. Elements with equal
// keys stay in the order of r. Of a float the NaNs come first. f runs on executors,
// several times for an element.
//
// A stage of its own samples r to find where partitions begin, so r is computed twice
// unless it is cached (Spark's RangePartitioner). There may be fewer partitions with
// elements than were asked for if many keys are equal.
func SortBy[T any, K cmp.Ordered](r *RDD[T], f func(T) K, opts ...ShuffleOption) *RDD[T] {
	out, _ := sorted(r.sc.op("sortBy", f), r, f, natural[K](), opts)
	return out
}

// SortByFunc is SortBy for an order of the program's own: compare returns a number below
// 0 if a is before b and 0 if neither is before the other, as [slices.SortFunc] wants it.
func SortByFunc[T any](r *RDD[T], compare func(a, b T) int, opts ...ShuffleOption) *RDD[T] {
	out, _ := sorted(r.sc.op("sortByFunc", compare), r, func(v T) T { return v }, order[T]{compare: compare}, opts)
	return out
}

// SortByKey sorts pairs by their keys, as [SortBy] does. Operators by key that follow find the
// keys where they are and move nothing.
func SortByKey[K sortable, V any](r *RDD[Pair[K, V]], opts ...ShuffleOption) *RDD[Pair[K, V]] {
	out, p := sorted(r.sc.op("sortByKey"), r, func(kv Pair[K, V]) K { return kv.Key }, natural[K](), opts)
	out.node.Partitioner = p
	return out
}

// sortable is what is ordered and comparable.
type sortable interface {
	comparable
	cmp.Ordered
}

// RepartitionAndSortWithinPartitions moves pairs to the partitions that p gives their
// keys and sorts each of these by key. It costs less than moving and sorting apart.
func RepartitionAndSortWithinPartitions[K sortable, V any](r *RDD[Pair[K, V]], p Partitioner, opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("repartitionAndSortWithinPartitions")
	if p == nil {
		o.fail(fmt.Errorf("%w: it is nil", ErrPartitioner))
		p = HashPartitioner{1}
	}
	byKey := orderBy(natural[K]().directed(opts), func(kv Pair[K, V]) K { return kv.Key })
	codec := keyedCodec[K, V](o)
	e := shuffleByKey(o, r.node, p, codec, lineage.ShuffleDependency{Order: "key"}, r.Compute)
	out := made(o, o.partitions(p.Partitions()), []lineage.Dependency{e.dep}, func(tc *task.Context, part int) iter.Seq2[Pair[K, V], error] {
		return sortRows(tc, codec, byKey, e.read(tc, part))
	})
	out.node.Partitioner = p
	return out
}

// sorted makes the RDD of a sort, and returns how it spreads keys.
//
//go:noinline
func sorted[T, K any](o op, r *RDD[T], key func(T) K, byKey order[K], opts []ShuffleOption) (*RDD[T], Partitioner) {
	byKey = byKey.directed(opts)
	compare, elements := byKey.compare, orderBy(byKey, key)
	codec, err := encoding.For[T]()
	o.fail(err)
	n := o.count(opts)
	if s := spreadOf(opts); s.partitioner != nil {
		o.fail(fmt.Errorf("%w: a sort has one of its own; use Partitions, or RepartitionAndSortWithinPartitions", ErrPartitioner))
	}
	p := Partitioner(HashPartitioner{1})
	deps := oneToOne(r.node)
	bounds := func(*task.Context) ([]K, error) { return nil, nil }
	if n > 1 {
		b := sortBounds(o, r, key, compare, n)
		p, bounds = &rangePartitioner{o.sc, b.dep.ID, n}, b.read
		deps = append(deps, b.dep)
	}
	// Its tasks read the bounds beside a partition of r.
	source := made(o, r.node.Partitions, deps, r.Compute)
	e := shuffle(o, source.node, p, codec, lineage.ShuffleDependency{Order: "key"}, func(tc *task.Context, part int, to *blocks[T]) error {
		bounds, err := bounds(tc)
		if err != nil {
			return err
		}
		return placeSorted(o, r.Compute(tc, part), to, key, bounds, compare)
	})
	return made(o, n, []lineage.Dependency{e.dep}, func(tc *task.Context, part int) iter.Seq2[T, error] {
		return sortRows(tc, codec, elements, e.read(tc, part))
	}), p
}

// placeSorted adds elements to the partitions between whose bounds they are.
func placeSorted[T, K any](o op, in iter.Seq2[T, error], to *blocks[T], key func(T) K, bounds []K, compare func(a, b K) int) (failed error) {
	in(func(v T, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		k := key(v)
		if err := to.add(partitionBelow(bounds, k, compare), v); err != nil {
			failed = o.error(err)
		}
		return failed == nil
	})
	return failed
}

// partitionBelow returns the partition of a key: the first whose upper bound isn't below it.
func partitionBelow[K any](bounds []K, key K, compare func(a, b K) int) int {
	i, _ := slices.BinarySearchFunc(bounds, key, compare)
	return i
}

// How many elements a sort samples: for each partition of the result, of each partition
// of the parent three times its part of those, so that partitions of different lengths do
// no harm, and in all.
const (
	samplesPerPartition = 20
	oversampling        = 3
	maxSamples          = 1_000_000
)

// keySample is what a sort knows of a partition.
type keySample[K any] struct {
	Count int64 // elements of the partition
	Keys  []K
}

// sortBounds samples the keys and shares the n-1 bounds between n partitions.
func sortBounds[T, K any](o op, r *RDD[T], key func(T) K, compare func(a, b K) int, n int) shared[[]K] {
	perPartition := min(oversampling*samplesPerPartition*n/max(1, r.node.Partitions)+oversampling, maxSamples/max(1, r.node.Partitions)+1)
	return share(o, r, func(tc *task.Context, p int, in iter.Seq2[T, error]) (s keySample[K], failed error) {
		rng := randomOf(uint64(r.node.ID.DStream)<<32|uint64(r.node.ID.Ordinal), r.node.ID.Batch, p)
		in(func(v T, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			s.Count++
			if len(s.Keys) < perPartition {
				s.Keys = append(s.Keys, key(v))
			} else if i := rng.Int64N(s.Count); i < int64(perPartition) {
				s.Keys[i] = key(v)
			}
			return true
		})
		return s, failed
	}, func(samples []keySample[K]) ([]K, error) { return boundsOf(samples, compare, n), nil })
}

// boundsOf returns up to n-1 keys, ascending, between which there are about as many
// elements each. A sampled key stands for as many as its partition has for each.
func boundsOf[K any](samples []keySample[K], compare func(a, b K) int, n int) []K {
	type weighted struct {
		key    K
		weight float64
	}
	var all []weighted
	total := 0.0
	for _, s := range samples {
		for _, k := range s.Keys {
			w := float64(s.Count) / float64(len(s.Keys))
			all = append(all, weighted{k, w})
			total += w
		}
	}
	slices.SortStableFunc(all, func(a, b weighted) int { return compare(a.key, b.key) })
	bounds := make([]K, 0, n-1)
	below, step := 0.0, total/float64(n)
	for _, w := range all {
		below += w.weight
		if len(bounds) < n-1 && below >= step*float64(len(bounds)+1) && (len(bounds) == 0 || compare(bounds[len(bounds)-1], w.key) < 0) {
			bounds = append(bounds, w.key)
		}
	}
	return bounds
}

// rangePartitioner is what a sort spreads keys by. Its bounds are known only to the tasks
// that read them, so it can't place the keys of another RDD.
type rangePartitioner struct {
	sc     *Context
	bounds int // id of the shuffle that shares them
	n      int
}

func (p *rangePartitioner) Partitions() int { return p.n }

func (p *rangePartitioner) Equal(o Partitioner) bool {
	q, ok := o.(*rangePartitioner)
	return ok && *p == *q
}

func (p *rangePartitioner) String() string {
	return fmt.Sprintf("ranges of shuffle %d, %d", p.bounds, p.n)
}
