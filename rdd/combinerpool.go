package rdd

import (
	"sync"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// combinerPool finds the tables of a type that tasks of a process have left: what a task
// needs the one before it mostly needed, too, and a table that grows is copied many times.
type combinerPool[K comparable, C any] struct{}

// of returns the pool of a process, nil if there is no process.
func (k combinerPool[K, C]) of(p *task.Process) *sync.Pool {
	if p == nil {
		return nil
	}
	pool, err := p.Resource(k, func() (any, func() error, error) { return new(sync.Pool), nil, nil })
	if err != nil { // the process ends
		return nil
	}
	return pool.(*sync.Pool)
}

// pooledCombiners returns empty combiners, with the memory of earlier ones if there are
// some.
func pooledCombiners[K comparable, C any](p *task.Process, keys encoding.Codec[K]) *combiners[K, C] {
	if pool := (combinerPool[K, C]{}).of(p); pool != nil {
		if c, ok := pool.Get().(*combiners[K, C]); ok {
			c.keys = keys
			return c
		}
	}
	return newCombiners[K, C](keys)
}

// mostPooled bounds the keys of a table that is left to others.
const mostPooled = 2 * largeTable

// giveBack leaves the table to others. One that is large, or much larger than what was
// needed of it, isn't worth that it is cleared.
func (c *combiners[K, C]) giveBack(p *task.Process) {
	pool := combinerPool[K, C]{}.of(p)
	c.used = max(c.used, len(c.pairs))
	if pool == nil || c.used > mostPooled || c.used < c.peak/4 {
		return
	}
	c.reset()
	c.used, c.peak = 0, max(c.used, c.peak)
	pool.Put(c)
}
