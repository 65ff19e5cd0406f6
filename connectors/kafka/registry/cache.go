package registry

import (
	"errors"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
)

// badTime is how long an answer stands that a schema can't be used: with bad records left
// out, the registry isn't asked for each.
const badTime = 10 * time.Second

// errLoading stands if loading panics.
var errLoading = errors.New("loading a schema did not end")

// cache keeps up to maxSchemas values. Its zero value is ready.
type cache[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]*entry[V]
}

// entry is a value that is there when done is closed.
type entry[V any] struct {
	done  chan struct{}
	value V
	err   error
	until time.Time // if there is an error
}

// get returns the value of a key. One caller loads it, others wait for it; load ends by
// itself. An error that has stood for its time is no answer any more.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	for {
		c.mu.RLock()
		e := c.entries[key]
		c.mu.RUnlock()
		if e == nil {
			e = c.load(key, load)
		}
		<-e.done
		if e.err == nil || !time.Now().After(e.until) {
			return e.value, e.err
		}
		c.drop(key, e)
	}
}

// load returns the entry of a key, and fills it if it is new.
func (c *cache[K, V]) load(key K, load func() (V, error)) *entry[V] {
	c.mu.Lock()
	if e := c.entries[key]; e != nil {
		c.mu.Unlock()
		return e
	}
	e := &entry[V]{done: make(chan struct{}), err: errLoading}
	c.room()
	c.entries[key] = e
	c.mu.Unlock()
	defer func() {
		if _, unavailable := errors.AsType[*kafka.UnavailableError](e.err); e.err == errLoading || unavailable {
			c.drop(key, e)
		}
		e.until = time.Now().Add(badTime)
		close(e.done)
	}()
	e.value, e.err = load()
	return e
}

// room makes room for an entry: one goes that nobody waits for. c.mu is held.
func (c *cache[K, V]) room() {
	if c.entries == nil {
		c.entries = make(map[K]*entry[V])
	}
	if len(c.entries) < maxSchemas {
		return
	}
	for key, e := range c.entries {
		select {
		case <-e.done:
			delete(c.entries, key)
			return
		default:
		}
	}
}

// drop takes off an entry, unless another has come in its place.
func (c *cache[K, V]) drop(key K, e *entry[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[key] == e {
		delete(c.entries, key)
	}
}
