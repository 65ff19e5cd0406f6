package ranges

import "sync/atomic"

// Stats are a Reader's counters since it was made.
type Stats struct {
	Fetches    int64 // requests answered
	Refreshes  int64 // requests for leaders
	Bytes      int64 // of record batches received
	Prefetched int64 // ranges that were prefetched, at least in part, when they were read
	Leftovers  int64 // ranges that began from what the previous one had left over
}

// counters count for Stats. They are safe for concurrent use.
type counters struct {
	fetches, refreshes, bytes, prefetched, leftovers atomic.Int64
}

func (c *counters) stats() Stats {
	return Stats{
		Fetches: c.fetches.Load(), Refreshes: c.refreshes.Load(), Bytes: c.bytes.Load(),
		Prefetched: c.prefetched.Load(), Leftovers: c.leftovers.Load(),
	}
}
