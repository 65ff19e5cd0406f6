package driver

import "time"

// reachedBatches is how many batches a program that plans as soon as possible makes in the time
// that its batches reach back, where that many intervals don't fit into it: a window has the
// partitions of all of them, a task each, at every slide.
const reachedBatches = 256

// leastApart returns the least time from a batch to the next in a program that plans as soon as
// possible: 0 if none reaches back, else a part of the interval, at most all of it. Batches
// that far apart are as many in an interval as there are parts, the tick's among them.
func leastApart(interval, reach time.Duration) time.Duration {
	if reach == 0 {
		return 0
	}
	parts := max(1, reachedBatches*interval/reach)
	return (interval + parts - 1) / parts // rounded up, or one more would fit in before the tick
}
