package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/variables"
)

// KeyContext is the key that a function of [TransformWithState] is called for, with its
// timers. It is good for one call, and for one goroutine.
//
// What is done wrong with it fails the batch when the function returns, by an error that
// names the key: a timer in the past, a variable that the state doesn't hold, a value that
// can't be encoded.
type KeyContext[K comparable] struct {
	key   K
	at    time.Time
	times bool // there is a function for timers
	of    *variables.Partition[K]
}

// cells implements KeyScope.
func (c *KeyContext[K]) cells() variables.Cells { return c.of }

// Key returns the key.
func (c *KeyContext[K]) Key() K { return c.key }

// BatchTime returns the time of the batch: the time that timers and TTLs go by, so that a
// batch that is computed again does the same.
func (c *KeyContext[K]) BatchTime() time.Time { return c.at }

// SetTimer has the function of [OnTimer] called for the key in the first batch whose time
// is at or later. A key may have several timers, and one at a time: to set it again changes
// nothing. It is an error if at isn't after [KeyContext.BatchTime]: who takes times from
// data asks before.
func (c *KeyContext[K]) SetTimer(at time.Time) {
	if !c.times {
		c.of.Fail(fmt.Errorf("%w: a timer is set, and there is no function for it: give the operator engine.OnTimer", ErrState))
		return
	}
	if err := c.of.SetTimer(at); err != nil {
		c.of.Fail(fmt.Errorf("%w: %w", ErrState, err))
	}
}

// DeleteTimer takes a timer of the key away, if there is one at that time.
func (c *KeyContext[K]) DeleteTimer(at time.Time) { c.of.DeleteTimer(at) }

// Timers returns the timers of the key, the earliest first.
func (c *KeyContext[K]) Timers() []time.Time {
	return slices.SortedFunc(c.of.Timers(), time.Time.Compare)
}
