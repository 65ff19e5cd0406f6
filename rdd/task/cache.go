package task

import "sync"

// Cache keeps computed partitions of one executor until their batch is
// forgotten. It is safe for concurrent use; a partition that two tasks ask for
// at once is computed by one of them.
type Cache struct {
	mu      sync.Mutex
	batches map[uint64]map[Block]*cacheEntry
}

// Block names a partition of an RDD that is kept.
type Block struct {
	Batch     uint64 // sequence number of the batch
	DStream   int32  // id of the DStream that made the RDD, 0 outside streams
	Ordinal   int32  // of the RDD within (Batch, DStream)
	Partition int32
}

// cacheEntry is guarded by its own lock, which is held while it is computed.
type cacheEntry struct {
	mu    sync.Mutex
	ready bool
	rows  any // []T
}

// Forget drops what is kept of the batches before until.
func (c *Cache) Forget(until uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for batch := range c.batches {
		if batch < until {
			delete(c.batches, batch)
		}
	}
}

// Len returns the number of partitions kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, m := range c.batches {
		n += len(m)
	}
	return n
}

// entry returns the place for a partition, empty or filled.
func (c *Cache) entry(k Block) *cacheEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches == nil {
		c.batches = make(map[uint64]map[Block]*cacheEntry)
	}
	m := c.batches[k.Batch]
	if m == nil {
		m = make(map[Block]*cacheEntry)
		c.batches[k.Batch] = m
	}
	e := m[k]
	if e == nil {
		e = &cacheEntry{}
		m[k] = e
	}
	return e
}

// Kept returns a partition from the task's cache, computing it first if need be. A
// failed computation leaves the place empty.
func Kept[T any](tc *Context, b Block, compute func() ([]T, error)) ([]T, error) {
	e := tc.Cache.entry(b)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready {
		return e.rows.([]T), nil
	}
	rows, err := compute()
	if err != nil {
		return nil, err
	}
	e.rows, e.ready = rows, true
	return rows, nil
}
