package rdd

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// maxFraction is how often a pair may be drawn on average.
const maxFraction = 1e6

// SampleByKey draws pairs at random, on executors, of each key another part: without
// replacement each is kept with the probability that fractions has for its key, from 0 to
// 1; with it each comes as often as a Poisson distribution of that mean says. A key that
// has no fraction is an error of the task, as in Spark. The same seed draws the same pairs
// from a partition at every attempt, others in each micro-batch. Order and partitioner are
// kept.
func SampleByKey[K comparable, V any](r *RDD[Pair[K, V]], withReplacement bool, fractions map[K]float64, seed uint64) *RDD[Pair[K, V]] {
	o := r.sc.op("sampleByKey")
	keys, err := encoding.ForKey[K]()
	o.fail(err)
	most := 1.0
	if withReplacement {
		most = maxFraction
	}
	of := newCombiners[K, float64](keys)
	var wrong []string
	for key, f := range fractions {
		if !(f >= 0 && f <= most) {
			wrong = append(wrong, fmt.Sprintf("that of %v is %v", key, f))
			continue
		}
		if err == nil {
			fraction, _ := of.slot(key)
			*fraction = f
		}
	}
	if slices.Sort(wrong); len(wrong) > 0 {
		o.fail(fmt.Errorf("%w: a fraction must be from 0 to %v, %s", ErrArgument, most, wrong[0]))
	}
	times := func(rng *rand.Rand, f float64) int {
		if rng.Float64() < f {
			return 1
		}
		return 0
	}
	if withReplacement {
		times = poissonTimes
	}
	out := narrow(o, r, func(tc *task.Context, p int) iter.Seq2[Pair[K, V], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[K, V], error) bool) {
			rng := randomOf(seed, r.node.ID.Batch, p)
			in(func(kv Pair[K, V], err error) bool {
				if ends(yield, err) {
					return false
				}
				f, ok := of.find(kv.Key)
				if !ok {
					return !ends(yield, o.error(fmt.Errorf("%w: the key %v has no fraction", ErrArgument, kv.Key)))
				}
				for range times(rng, f) {
					if tc.Killed() {
						return !ends(yield, context.Cause(tc))
					}
					if !yield(kv, nil) {
						return false
					}
				}
				return true
			})
		}
	})
	return keepingPartitioner(out, r)
}

// poissonTimes draws from a Poisson distribution.
func poissonTimes(rng *rand.Rand, mean float64) (n int) {
	newPoisson(mean).each(rng, func() bool { n++; return true })
	return n
}
