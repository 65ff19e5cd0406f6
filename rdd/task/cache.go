package task

import (
	"context"
	"errors"
	"sync"
)

// Cache is [Blocks] in memory, without a limit, whatever the level: for what runs outside
// executors. The zero value is empty.
type Cache struct {
	mu     sync.Mutex
	blocks map[Block]*cached
}

// cached is a block that is there or is being computed.
type cached struct {
	value    Value         // nil while it is computed
	computed chan struct{} // closed when it was, or couldn't be
}

// Compute implements [Blocks].
func (c *Cache) Compute(ctx context.Context, b Block, _ Level, compute func(Building) (Value, error)) (Value, bool, error) {
	for {
		e, mine := c.claim(b)
		if mine {
			return c.compute(b, e, compute)
		}
		select {
		case <-e.computed:
			if e.value != nil {
				return e.value, true, nil
			}
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// claim returns the place of a block, which is the caller's to fill if mine.
func (c *Cache) claim(b Block) (e *cached, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.blocks[b]; e != nil {
		return e, false
	}
	if c.blocks == nil {
		c.blocks = make(map[Block]*cached)
	}
	e = &cached{computed: make(chan struct{})}
	c.blocks[b] = e
	return e, true
}

// compute fills a place that was claimed. A failed computation leaves it empty.
func (c *Cache) compute(b Block, e *cached, compute func(Building) (Value, error)) (v Value, kept bool, err error) {
	done := sync.OnceFunc(func() {
		if e.value == nil {
			c.Drop(b)
		}
		close(e.computed)
	})
	defer done() // also if compute panics
	v, err = compute(unlimited{done})
	if err == nil {
		e.value = v
	}
	return v, err == nil, err
}

// Drop implements [Blocks].
func (c *Cache) Drop(b Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.blocks, b)
}

// Forget drops what is kept of the batches before until.
func (c *Cache) Forget(until uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := range c.blocks {
		if b.Batch < until {
			delete(c.blocks, b)
		}
	}
}

// Len returns the number of partitions kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.blocks)
}

// unlimited is the memory of what has no limit. It has no disk, which nobody needs then.
type unlimited struct{ giveUp func() }

func (unlimited) Grow(int64) bool      { return true }
func (unlimited) Shrink(int64)         {}
func (unlimited) NewRun() (Run, error) { return nil, errors.ErrUnsupported }
func (u unlimited) GiveUp()            { u.giveUp() }
