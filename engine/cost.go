package engine

import (
	"math"
	"time"
)

// CostEstimate is what batches have cost of late: processing time as a fixed part
// and a part for each record. It rides in the allocation, so that a driver that
// takes over plans with what is known. The zero value knows nothing.
type CostEstimate struct {
	// A weighted fit: sums over batches of 1, records n, seconds t, n², n·t.
	Weight  float64 `msgpack:"w"`
	Records float64 `msgpack:"x"`
	Seconds float64 `msgpack:"y"`
	Squares float64 `msgpack:"xx"`
	Product float64 `msgpack:"xy"`

	Rate float64 `msgpack:"r"` // the rate estimate, records/s
	Err  float64 `msgpack:"e"` // its last error
}

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

// add takes in a batch with records. First is a driver's first.
func (c *CostEstimate) add(records int64, took, interval time.Duration, first bool) {
	n, t, weight := float64(records), took.Seconds(), 1.0
	if first {
		weight = firstWeight
	}
	keep := min(max(math.Exp(-max(t, interval.Seconds())), shortMemory), longMemory)
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
func (c *CostEstimate) line() (fixed, perRecord float64) {
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
func (c *CostEstimate) most(seconds float64) float64 {
	const growth = 2
	return growth * c.Records / c.Seconds * max(seconds, c.Seconds/c.Weight)
}

// valid reports whether an estimate that was read can be gone on with.
func (c *CostEstimate) valid() bool {
	for _, v := range []float64{c.Weight, c.Records, c.Seconds, c.Squares, c.Product, c.Rate} {
		if !(v > 0) || math.IsInf(v, 0) {
			return false
		}
	}
	return !math.IsNaN(c.Err) && !math.IsInf(c.Err, 0)
}
