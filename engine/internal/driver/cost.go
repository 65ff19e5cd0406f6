package driver

import (
	"math"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// cost is an estimate of what batches cost, see plan.CostEstimate.
type cost plan.CostEstimate

// How batches are weighed.
const (
	// A batch's weight falls by a factor with each that follows: what was measured
	// over a second or more is told by one batch, of short ones it takes many.
	shortMemory, longMemory = 0.5, 0.95
	firstWeight             = 0.2  // of a driver's first batch, which opens connections and fills caches
	priorWeight             = 0.01 // of the assumption that records cost everything, and a batch nothing
	surprise                = 4    // times more or less than expected: what was known holds no more,
	forget                  = 0.02 // and weighs this
)

// add takes in a batch with records; batches follow each other at a pace. First is a
// driver's first.
func (c *cost) add(records int64, took, pace time.Duration, first bool) {
	n, t, weight := float64(records), took.Seconds(), 1.0
	if first {
		weight = firstWeight
	}
	keep := min(max(math.Exp(-max(t, pace.Seconds())), shortMemory), longMemory)
	fixed, perRecord := c.line()
	if expected := fixed + perRecord*n; t > surprise*expected || t < expected/surprise {
		keep = forget
	}
	c.Weight = c.Weight*keep + weight
	c.Records = c.Records*keep + weight*n
	c.Seconds = c.Seconds*keep + weight*t
	c.Squares = c.Squares*keep + weight*n*n
	c.Product = c.Product*keep + weight*n*t
}

// line returns a batch's fixed cost and that of a record, in seconds. While all
// batches are of one size nobody can tell one from the other, and overheadShare
// is taken for fixed.
func (c *cost) line() (fixed, perRecord float64) {
	if c.Weight == 0 {
		return 0, 0
	}
	n, t := c.Records/c.Weight, c.Seconds/c.Weight
	spread := max(0, c.Squares/c.Weight-n*n)
	slope := (c.Product/c.Weight - n*t + priorWeight*n*t) / (spread + priorWeight*n*n)
	perRecord = min(max(slope, 0), t/n)
	return t - perRecord*n, perRecord
}

// most returns how many records a batch that may take the given seconds can hold at
// most, by what was seen: a speed beyond that (of records that had been fetched
// along with earlier ones, of batches that were mostly waiting) isn't believed at
// once.
func (c *cost) most(seconds float64) float64 {
	const growth = 2
	return growth * c.Records / c.Seconds * max(seconds, c.Seconds/c.Weight)
}

// valid reports whether an estimate that was read can be gone on with.
func (c *cost) valid() bool {
	for _, v := range []float64{c.Weight, c.Records, c.Seconds, c.Squares, c.Product, c.Rate} {
		if !(v > 0) || math.IsInf(v, 0) {
			return false
		}
	}
	return !math.IsNaN(c.Err) && !math.IsInf(c.Err, 0)
}
