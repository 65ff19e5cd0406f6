package rddtest

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/rdd"
)

// Program builds a random program over the operators of package rdd: what it makes of in
// is the same in every process for a seed. Its result is written as text, one element a
// line, in an order that is determined. hook is called on RDDs on the way and may put
// something in their place that has the same elements, such as an operator that kills the
// process now and then; it may be nil.
func Program(seed uint64, in *rdd.RDD[int], hook func(*rdd.RDD[int]) *rdd.RDD[int]) *rdd.RDD[string] {
	if hook == nil {
		hook = func(r *rdd.RDD[int]) *rdd.RDD[int] { return r }
	}
	p := &program{rng: rand.New(rand.NewPCG(seed, 17)), sc: in.Context(), hook: hook}
	p.push(in, 100)
	p.push(rdd.Parallelize(p.sc, []int{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, rdd.Partitions(p.below(5))), 11)
	p.pushPairs(rdd.Map(in, keyed(p.below(12))), 100)
	for range 3 + p.rng.IntN(8) {
		steps[p.rng.IntN(len(steps))](p)
	}
	return p.result()
}

// program is a random program that is being built. Elements stay few: what may have grown
// too large is thinned out.
type program struct {
	rng   *rand.Rand
	sc    *rdd.Context
	hook  func(*rdd.RDD[int]) *rdd.RDD[int]
	ints  []sized[*rdd.RDD[int]]
	pairs []sized[*rdd.RDD[rdd.Pair[int, int]]]
}

// sized is an RDD and how many elements it has at most, about.
type sized[R any] struct {
	rdd  R
	size int
}

// maxSize is how many elements an RDD of a program may have, about.
const maxSize = 3000

// below returns a number from 1 to n.
func (p *program) below(n int) int { return 1 + p.rng.IntN(n) }

func (p *program) partitions() rdd.ShuffleOption { return rdd.Partitions(p.below(6)) }

func (p *program) push(r *rdd.RDD[int], size int) {
	if size > maxSize {
		keep := size/maxSize + 1
		r, size = r.Filter(func(v int) bool { return v%keep == 0 }), maxSize
	}
	if p.rng.IntN(2) == 0 {
		r = p.hook(r)
	}
	if p.rng.IntN(5) == 0 {
		r = r.Cache()
	}
	p.ints = append(p.ints, sized[*rdd.RDD[int]]{r, size})
}

func (p *program) pushPairs(r *rdd.RDD[rdd.Pair[int, int]], size int) {
	if size > maxSize {
		keep := size/maxSize + 1
		r, size = r.Filter(func(kv rdd.Pair[int, int]) bool { return (kv.Key+kv.Value)%keep == 0 }), maxSize
	}
	if p.rng.IntN(5) == 0 {
		r = r.Cache()
	}
	p.pairs = append(p.pairs, sized[*rdd.RDD[rdd.Pair[int, int]]]{r, size})
}

func (p *program) anyInts() (*rdd.RDD[int], int) {
	s := p.ints[p.rng.IntN(len(p.ints))]
	return s.rdd, s.size
}

func (p *program) anyPairs() (*rdd.RDD[rdd.Pair[int, int]], int) {
	s := p.pairs[p.rng.IntN(len(p.pairs))]
	return s.rdd, s.size
}

// result is what was made last, as text.
func (p *program) result() *rdd.RDD[string] {
	out := rdd.Parallelize(p.sc, []string{}, rdd.Partitions(1))
	for _, r := range p.ints[max(0, len(p.ints)-3):] {
		out = out.Union(rdd.Map(r.rdd, func(v int) string { return fmt.Sprint(v) }))
	}
	for _, r := range p.pairs[max(0, len(p.pairs)-3):] {
		out = out.Union(rdd.Map(r.rdd, func(kv rdd.Pair[int, int]) string { return fmt.Sprintf("%d=%d", kv.Key, kv.Value) }))
	}
	return out
}

func keyed(keys int) func(int) rdd.Pair[int, int] {
	return func(v int) rdd.Pair[int, int] { return rdd.KV(mod(v, keys), v) }
}

// mod is v modulo n, never negative.
func mod(v, n int) int { return ((v % n) + n) % n }

// mix makes an order of combination visible: it isn't commutative. It is associative in no
// case, so it is used only where values of a key are folded in one place.
func mix(a, b int) int { return mod(a*31+b, 1_000_003) }

func plus(a, b int) int { return mod(a+b, 1_000_003) }

// steps add RDDs to a program.
var steps = []func(p *program){
	func(p *program) {
		r, n := p.anyInts()
		a, b := p.below(7), p.below(100)
		p.push(rdd.Map(r, func(v int) int { return mod(v*a+b, 1_000_003) }), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(5) + 1
		p.push(r.Filter(func(v int) bool { return mod(v, m) != 0 }), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(4)
		p.push(rdd.FlatMap(r, func(v int) []int { return make([]int, mod(v, m)) }), n*m)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(3)
		p.push(rdd.FlatMapSeq(r, func(v int) iter.Seq[int] {
			return func(yield func(int) bool) {
				for i := 0; i < mod(v, m+1) && yield(v+i); i++ {
				}
			}
		}), n*m)
	},
	func(p *program) { // running sums make the order within a partition visible
		r, n := p.anyInts()
		p.push(rdd.MapPartitions(r, func(part rdd.Part, in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				sum := part.Index
				for v := range in {
					if sum = mix(sum, v); !yield(sum) {
						return
					}
				}
			}
		}), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		o, m := p.anyInts()
		p.push(r.Union(o), n+m)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, m := p.anyPairs()
		p.pushPairs(r.Union(o), n+m)
	},
	func(p *program) {
		r, n := p.anyInts()
		p.pushPairs(rdd.Map(r, keyed(p.below(40))), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.push(rdd.Map(r, func(kv rdd.Pair[int, int]) int { return mix(kv.Key, kv.Value) }), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.ReduceByKey(r, plus, p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.ReduceByKey(r, plus), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		lists := rdd.CombineByKey(r,
			func(v int) []int { return []int{v} },
			func(c []int, v int) []int { return append(c, v) },
			func(a, b []int) []int { return append(a, b...) }, p.partitions())
		p.pushPairs(rdd.Map(lists, func(kv rdd.Pair[int, []int]) rdd.Pair[int, int] { return rdd.KV(kv.Key, fold(kv.Value)) }), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		counts := rdd.CountedByValue(r, p.partitions())
		p.pushPairs(rdd.Map(counts, func(kv rdd.Pair[int, int64]) rdd.Pair[int, int] { return rdd.KV(kv.Key, int(kv.Value)) }), n)
	},
	func(p *program) {
		r, _ := p.anyInts()
		p.push(rdd.Map(rdd.Counted(r), func(n int64) int { return int(n) }), 1)
	},
	func(p *program) {
		r, _ := p.anyInts()
		p.push(rdd.Reduced(r, plus), 1)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(50)
		p.push(rdd.SortBy(r, func(v int) int { return mod(v, m) }, p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.SortByKey(r, rdd.Descending(), p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.RepartitionAndSortWithinPartitions(r, rdd.HashPartitioner{N: p.below(5)}), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		p.push(r.Repartition(p.below(6)), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		p.push(r.Coalesce(p.below(6)), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		p.push(rdd.Map(rdd.ZipWithIndex(r), func(kv rdd.Pair[int64, int]) int { return mix(int(kv.Key), kv.Value) }), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(7)
		p.push(rdd.Map(rdd.Zip(r, rdd.Map(r, func(v int) int { return mod(v, m) })), func(v rdd.Tuple[int, int]) int { return mix(v.First, v.Second) }), n)
	},
	func(p *program) { // a few of two
		r, _ := p.anyInts()
		o, _ := p.anyInts()
		few := func(r *rdd.RDD[int], n int) *rdd.RDD[int] {
			return rdd.Map(rdd.ZipWithIndex(r).Filter(func(kv rdd.Pair[int64, int]) bool { return kv.Key < 20 }), func(kv rdd.Pair[int64, int]) int { return kv.Value + n })
		}
		p.push(rdd.Map(rdd.Cartesian(few(r, 1), few(o, 2)), func(v rdd.Tuple[int, int]) int { return mix(v.First, v.Second) }), 400)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(20)
		groups := rdd.GroupBy(r, func(v int) int { return mod(v, m) }, p.partitions())
		p.pushPairs(rdd.Map(groups, func(kv rdd.Pair[int, []int]) rdd.Pair[int, int] { return rdd.KV(kv.Key, fold(kv.Value)) }), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.Distinct(r), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		o, _ := p.anyInts()
		p.push(rdd.Intersection(r, o, p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, _ := p.anyPairs()
		p.pushPairs(rdd.Subtract(r, o), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		m := p.below(5)
		p.push(rdd.Map(rdd.Batch(r, m), fold), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.MapValues(r, func(v int) int { return mod(v*3+1, 1_000_003) }), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		m := p.below(3)
		p.pushPairs(rdd.FlatMapValues(r, func(v int) []int { return make([]int, mod(v, m+1)) }), n*m)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.push(rdd.Keys(r), n)
		p.push(rdd.Values(r), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.MapValues(rdd.GroupByKey(r, p.partitions()), fold), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.FoldByKey(r, 0, plus, p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		lists := rdd.AggregateByKey(r, []int{}, func(c []int, v int) []int { return append(c, v) }, func(a, b []int) []int { return append(a, b...) })
		p.pushPairs(rdd.MapValues(lists, fold), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		p.pushPairs(rdd.PartitionBy(r, rdd.By(rdd.HashPartitioner{N: p.below(5)})), n)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, m := p.anyPairs()
		p.pushPairs(rdd.MapValues(rdd.Join(r, o), func(j rdd.Joined[int, int]) int { return mix(j.Left, j.Right) }), n*m/4)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, m := p.anyPairs()
		p.pushPairs(rdd.MapValues(rdd.FullOuterJoin(r, o, p.partitions()), func(j rdd.Joined[rdd.Option[int], rdd.Option[int]]) int {
			return mix(j.Left.Value, j.Right.Value)
		}), n*m/4+n+m)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, m := p.anyPairs()
		p.pushPairs(rdd.MapValues(rdd.Cogroup(r, o), func(g rdd.Grouped2[int, int]) int { return mix(fold(g.First), fold(g.Second)) }), n+m)
	},
	func(p *program) {
		r, n := p.anyPairs()
		o, _ := p.anyPairs()
		p.pushPairs(rdd.SubtractByKey(r, o, p.partitions()), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		p.push(r.Sample(p.rng.IntN(2) == 0, 0.5, p.rng.Uint64()), n)
	},
	func(p *program) {
		r, n := p.anyInts()
		levels := []rdd.StorageLevel{rdd.MemoryOnly, rdd.MemoryAndDisk, rdd.DiskOnly}
		p.push(rdd.Map(r, func(v int) int { return v }).Persist(levels[p.rng.IntN(len(levels))]), n)
	},
}

// fold makes the order of a list visible.
func fold(list []int) int {
	acc := 7
	for _, v := range list {
		acc = mix(acc, v)
	}
	return acc
}
