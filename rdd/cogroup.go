package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Cogroup yields for each key all its values in r and all in other, on executors; those of
// an RDD that hasn't the key are nil. Keys follow each other within a partition in the
// order in which they come, in r first; so do the values of a key in each RDD. An argument
// that is spread as the result is to be isn't moved. The values of a key must fit into a
// task's memory. [Cogroup3] and [Cogroup4] take more RDDs.
func Cogroup[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, Grouped2[V, W]]] {
	c := cogroup2(r.sc.op("cogroup"), r, other, opts)
	return madeBy(c.op, c.partitioner, c.deps, c.compute)
}

// Cogroup3 is [Cogroup] of three RDDs.
func Cogroup3[K comparable, A, B, C any](a *RDD[Pair[K, A]], b *RDD[Pair[K, B]], c *RDD[Pair[K, C]], opts ...ShuffleOption) *RDD[Pair[K, Grouped3[A, B, C]]] {
	o := a.sc.op("cogroup")
	b, c = within(o, 1, b), within(o, 2, c)
	g := newCogrouping[K, Grouped3[A, B, C]](o, o.partitioner(opts, a.node, b.node, c.node))
	addGroup(g, a.node, a.Compute, func(g *Grouped3[A, B, C]) *[]A { return &g.First })
	addGroup(g, b.node, b.Compute, func(g *Grouped3[A, B, C]) *[]B { return &g.Second })
	addGroup(g, c.node, c.Compute, func(g *Grouped3[A, B, C]) *[]C { return &g.Third })
	return madeBy(o, g.partitioner, g.deps, g.compute)
}

// Cogroup4 is [Cogroup] of four RDDs.
func Cogroup4[K comparable, A, B, C, D any](a *RDD[Pair[K, A]], b *RDD[Pair[K, B]], c *RDD[Pair[K, C]], d *RDD[Pair[K, D]], opts ...ShuffleOption) *RDD[Pair[K, Grouped4[A, B, C, D]]] {
	o := a.sc.op("cogroup")
	b, c, d = within(o, 1, b), within(o, 2, c), within(o, 3, d)
	g := newCogrouping[K, Grouped4[A, B, C, D]](o, o.partitioner(opts, a.node, b.node, c.node, d.node))
	addGroup(g, a.node, a.Compute, func(g *Grouped4[A, B, C, D]) *[]A { return &g.First })
	addGroup(g, b.node, b.Compute, func(g *Grouped4[A, B, C, D]) *[]B { return &g.Second })
	addGroup(g, c.node, c.Compute, func(g *Grouped4[A, B, C, D]) *[]C { return &g.Third })
	addGroup(g, d.node, d.Compute, func(g *Grouped4[A, B, C, D]) *[]D { return &g.Fourth })
	return madeBy(o, g.partitioner, g.deps, g.compute)
}

// SubtractByKey yields the pairs of r whose keys other hasn't, on executors: the pairs of
// a key one after the other, keys in the order in which they come. Of other the keys alone
// are moved. (Spark spreads the result as r is; here the same rule holds as everywhere,
// see [ShuffleOption].)
func SubtractByKey[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("subtractByKey")
	other = within(o, 1, other)
	g := newCogrouping[K, Grouped2[V, struct{}]](o, o.partitioner(opts, r.node, other.node))
	addGroup(g, r.node, r.Compute, func(g *Grouped2[V, struct{}]) *[]V { return &g.First })
	addGroup(g, other.node, withoutValues(other), func(g *Grouped2[V, struct{}]) *[]struct{} { return &g.Second })
	return madeBy(o, g.partitioner, g.deps, func(tc *task.Context, p int) iter.Seq2[Pair[K, V], error] {
		groups := g.compute(tc, p)
		return func(yield func(Pair[K, V], error) bool) {
			groups(func(kv Pair[K, Grouped2[V, struct{}]], err error) bool {
				switch {
				case ends(yield, err):
					return false
				case len(kv.Value.Second) > 0:
					return true
				}
				return eachValue(tc, kv.Key, kv.Value.First, yield)
			})
		}
	})
}

// withoutValues yields the pairs of an RDD without their values.
func withoutValues[K comparable, V any](r *RDD[Pair[K, V]]) computeFunc[Pair[K, struct{}]] {
	return func(tc *task.Context, p int) iter.Seq2[Pair[K, struct{}], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[K, struct{}], error) bool) {
			in(func(kv Pair[K, V], err error) bool {
				return !ends(yield, err) && yield(Pair[K, struct{}]{Key: kv.Key}, nil)
			})
		}
	}
}

func cogroup2[K comparable, V, W any](o op, r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts []ShuffleOption) *cogrouping[K, Grouped2[V, W]] {
	other = within(o, 1, other)
	g := newCogrouping[K, Grouped2[V, W]](o, o.partitioner(opts, r.node, other.node))
	addGroup(g, r.node, r.Compute, func(g *Grouped2[V, W]) *[]V { return &g.First })
	addGroup(g, other.node, other.Compute, func(g *Grouped2[V, W]) *[]W { return &g.Second })
	return g
}

// cogrouping is how an operator groups the values of several RDDs by their keys: those of
// a key are the fields of a G.
type cogrouping[K comparable, G any] struct {
	op          op
	partitioner Partitioner
	codec       pairCodec[K, G]
	deps        []lineage.Dependency
	inputs      []func(tc *task.Context, partition int) func(*combineTable[K, G]) error
	joins       []func(g, later *G)
}

func newCogrouping[K comparable, G any](o op, p Partitioner) *cogrouping[K, G] {
	return &cogrouping[K, G]{op: o, partitioner: p, codec: keyedCodec[K, G](o)}
}

// addGroup adds an RDD, whose node is parent and whose pairs from yields. of returns the
// field of its values.
//
//go:noinline
func addGroup[K comparable, V, G any](c *cogrouping[K, G], parent *lineage.Node, from computeFunc[Pair[K, V]], of func(*G) *[]V) {
	codec := withValues[V](c.op, c.codec)
	dep, read := spreadBy(c.op, parent, c.partitioner, codec, from)
	c.deps = append(c.deps, dep)
	c.inputs = append(c.inputs, func(tc *task.Context, p int) func(*combineTable[K, G]) error {
		return combining(codec.value, read(tc, p), func(g *G, _ bool, v V) error {
			values := of(g)
			*values = append(*values, v)
			return nil
		})
	})
	c.joins = append(c.joins, func(g, later *G) { *of(g) = append(*of(g), *of(later)...) })
}

// compute yields the groups of a partition.
func (c *cogrouping[K, G]) compute(tc *task.Context, p int) iter.Seq2[Pair[K, G], error] {
	inputs := make([]func(*combineTable[K, G]) error, len(c.inputs))
	for i, in := range c.inputs {
		inputs[i] = in(tc, p)
	}
	return combinedOf(tc, c.codec, c.join, inputs...)
}

// join joins the values of a key, of which the second came later.
func (c *cogrouping[K, G]) join(g, later G) G {
	for _, join := range c.joins {
		join(&g, &later)
	}
	return g
}
