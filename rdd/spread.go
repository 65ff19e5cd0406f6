package rdd

import (
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// ShuffleOption says how an operator spreads what it makes over partitions: [Partitions]
// or [By]; sorts take [Descending], too. Without one, operators that move records by their keys follow one rule: they
// keep the partitioner of an argument that has one, so that this isn't moved, unless
// another argument has ten times its partitions or more; else they hash keys over the
// default parallelism (Spark's Partitioner.defaultPartitioner).
type ShuffleOption interface{ apply(*spread) }

// Partitions makes an operator's result have n partitions.
func Partitions(n int) ShuffleOption { return partitionCount(n) }

// By makes an operator spread keys with the given partitioner.
func By(p Partitioner) ShuffleOption { return partitionBy{p} }

// Descending makes a sort begin with the largest element. Other operators ignore it.
func Descending() ShuffleOption { return descending{} }

// spread is what a program asked for.
type spread struct {
	given       bool // count or partitioner
	count       int
	partitioner Partitioner
	descending  bool
}

type partitionCount int

func (n partitionCount) apply(s *spread) { s.given, s.count, s.partitioner = true, int(n), nil }

type partitionBy struct{ Partitioner }

func (p partitionBy) apply(s *spread) { s.given, s.count, s.partitioner = true, 0, p.Partitioner }

type descending struct{}

func (descending) apply(s *spread) { s.descending = true }

func spreadOf(opts []ShuffleOption) spread {
	var s spread
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	return s
}

// count returns the number of partitions that options ask for, the default parallelism
// if they ask for none.
func (o op) count(opts []ShuffleOption) int {
	switch s := spreadOf(opts); {
	case !s.given:
		return o.sc.DefaultParallelism()
	case s.partitioner != nil:
		return o.partitions(s.partitioner.Partitions())
	default:
		return o.partitions(s.count)
	}
}

// partitioner returns how an operator spreads the keys of its arguments.
func (o op) partitioner(opts []ShuffleOption, args ...*lineage.Node) Partitioner {
	switch s := spreadOf(opts); {
	case !s.given:
		return defaultPartitioner(o.sc.DefaultParallelism(), args)
	case s.partitioner != nil:
		o.partitions(s.partitioner.Partitions())
		return s.partitioner
	default:
		return HashPartitioner{o.partitions(s.count)}
	}
}

// tooFewPartitions is how many times more partitions than a partitioner's own the largest
// argument may not have, for the partitioner to be kept.
const tooFewPartitions = 10

// defaultPartitioner returns the largest partitioner of the arguments if it is good
// enough, else one that hashes over the default number of partitions.
func defaultPartitioner(parallelism int, args []*lineage.Node) Partitioner {
	largest := 0
	var kept Partitioner
	for _, a := range args {
		largest = max(largest, a.Partitions)
		if p := a.Partitioner; p != nil && p.Partitions() > 0 && fits(p, args) && (kept == nil || p.Partitions() > kept.Partitions()) {
			kept = p
		}
	}
	if kept != nil && (largest < tooFewPartitions*kept.Partitions() || parallelism < kept.Partitions()) {
		return kept
	}
	return HashPartitioner{parallelism}
}

// fits reports whether a partitioner can place the keys of all arguments: that of a sort
// is good only where they are placed already.
func fits(p Partitioner, args []*lineage.Node) bool {
	if _, ok := p.(*rangePartitioner); !ok {
		return true
	}
	for _, a := range args {
		if a.Partitioner == nil || !p.Equal(a.Partitioner) {
			return false
		}
	}
	return true
}
