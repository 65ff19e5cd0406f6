package engine_test

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// A visitor who doesn't come in the next batch has left: the timer that was set then isn't
// deleted before it is due.
func ExampleTransformWithState() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		visits := engine.NewValueState[int]("visits")
		return engine.TransformWithState(ones(words), "visitors",
			func(c *engine.KeyContext[string], values []int, emit func(string)) error {
				n, _ := visits.Get(c)
				visits.Set(c, n+len(values))
				for _, at := range c.Timers() {
					c.DeleteTimer(at)
				}
				c.SetTimer(c.BatchTime().Add(time.Millisecond))
				emit(c.Key() + " comes.")
				return nil
			},
			engine.Holds(visits),
			engine.OnTimer(func(c *engine.KeyContext[string], _ time.Time, emit func(string)) error {
				n, _ := visits.Get(c)
				visits.Remove(c)
				emit(fmt.Sprintf("%s left after %d.", c.Key(), n))
				return nil
			}))
	})
	// Output:
	// 1 a comes. b comes.
	// 2 a comes. b left after 1.
	// 3 a left after 2. c comes.
}

// Visits that were counted elsewhere go on here.
func ExampleInitialVariables() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		visits := engine.NewValueState[int]("visits")
		counted := []rdd.Pair[string, int]{rdd.KV("a", 10), rdd.KV("c", 5)}
		return engine.TransformWithState(ones(words), "visitors",
			func(c *engine.KeyContext[string], values []int, emit func(string)) error {
				n, _ := visits.Get(c)
				visits.Set(c, n+len(values))
				emit(fmt.Sprintf("%s=%d", c.Key(), n+len(values)))
				return nil
			},
			engine.Holds(visits),
			engine.InitialVariables(counted, func(c *engine.KeyContext[string], n int) error {
				visits.Set(c, n)
				return nil
			}))
	})
	// Output:
	// 1 a=11 b=1
	// 2 a=12
	// 3 c=6
}
