package rdd

import "sync"

// Cache keeps computed partitions of one executor until their batch is
// forgotten. It is safe for concurrent use; a partition that two tasks ask for
// at once is computed by one of them.
type Cache struct {
	mu      sync.Mutex
	batches map[uint64]map[cacheKey]*cacheEntry
}

type cacheKey struct {
	id        ID
	partition int
}

// cacheEntry is guarded by its own lock, which is held while it is computed.
type cacheEntry struct {
	mu    sync.Mutex
	ready bool
	rows  any // []T
}

// Cache marks the RDD's partitions to be kept, as slices in memory, until the
// batch is forgotten. Without it they are computed anew for every use.
func (r *RDD[T]) Cache() *RDD[T] {
	if l := r.node.lineage; !l.tooLate("cache", l.site) {
		r.node.Cached = true
	}
	return r
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
func (c *Cache) entry(k cacheKey) *cacheEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches == nil {
		c.batches = make(map[uint64]map[cacheKey]*cacheEntry)
	}
	m := c.batches[k.id.Batch]
	if m == nil {
		m = make(map[cacheKey]*cacheEntry)
		c.batches[k.id.Batch] = m
	}
	e := m[k]
	if e == nil {
		e = &cacheEntry{}
		m[k] = e
	}
	return e
}

// cached returns a partition from the cache, computing it first if need be. A
// failed computation leaves the place empty.
func cached[T any](tc *TaskContext, id ID, partition int, compute func() ([]T, error)) ([]T, error) {
	e := tc.Cache.entry(cacheKey{id, partition})
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
