// Carts tells of shopping carts that were left behind: something is in them, and nothing
// was done with them for a while.
//
//	go run ./examples/carts
package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	topic   string
	idle    time.Duration
	events  int
	rate    float64
	buyers  int
	buyings float64
}

func main() {
	app := engine.NewApp("carts")
	app.Example("carts --idle 5s --events 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "cart-events", "topic of what is done with carts, JSON")
	f.DurationVar(&opt.idle, "idle", 2*time.Second, "a cart is left behind when nothing was done with it for so long")
	f.IntVar(&opt.events, "events", 2000, "events that are made up and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 400, "of these, events per second")
	f.IntVar(&opt.buyers, "buyers", 100, "of these, buyers")
	f.Float64Var(&opt.buyings, "buyings", 0.2, "of these, the part that pays for a cart")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error {
		made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.events, Flag: "events", Record: opt.event}
		if err := cmp.Or(opt.check(), made.Check(ssc)); err != nil {
			return err
		}
		events := kafka.Direct(ssc, kafka.Subscribe(opt.topic), kafka.JSONValue[Event])
		abandoned(events, opt.idle).Print(10)
		made.Declare(ssc, 2*opt.idle)
		return nil
	})
}

// check reports what is wrong with the flags.
func (opt options) check() error {
	switch {
	case opt.idle <= 0:
		return fmt.Errorf("%w: --idle %s is not above 0", engine.ErrUsage, opt.idle)
	case opt.buyers < 1:
		return fmt.Errorf("%w: --buyers %d is below 1", engine.ErrUsage, opt.buyers)
	case !(opt.buyings >= 0 && opt.buyings <= 1):
		return fmt.Errorf("%w: --buyings %g is not from 0 to 1", engine.ErrUsage, opt.buyings)
	}
	return nil
}

// Event says what a buyer did.
type Event struct {
	Buyer  string `json:"buyer"`
	Item   string `json:"item,omitempty"`   // that goes into the cart, or out of it
	Count  int    `json:"count,omitempty"`  // how many, below 0 out of it
	Bought bool   `json:"bought,omitempty"` // all of it was paid for
}

// Cart is a cart that was left behind.
type Cart struct {
	Buyer string
	Items []string
	Idle  time.Duration
}

// String returns the cart for people.
func (c Cart) String() string {
	return fmt.Sprintf("%s left %s", c.Buyer, strings.Join(c.Items, ", "))
}

// abandoned yields each cart with which nothing was done for a time.
func abandoned(events *engine.DStream[Event], idle time.Duration) *engine.DStream[Cart] {
	items := engine.NewMapState[string, int]("items")
	touched := engine.NewValueState[time.Time]("touched")
	byBuyer := engine.Map(events, func(e Event) rdd.Pair[string, Event] { return rdd.KV(e.Buyer, e) })
	return engine.TransformWithState(byBuyer, "carts",
		func(c *engine.KeyContext[string], events []Event, _ func(Cart)) error {
			for _, e := range events {
				if e.Bought {
					items.Clear(c)
					continue
				}
				if n, _ := items.Get(c, e.Item); n+e.Count > 0 {
					items.Set(c, e.Item, n+e.Count)
				} else {
					items.Remove(c, e.Item)
				}
			}
			if before, ok := touched.Get(c); ok {
				c.DeleteTimer(before.Add(idle))
			}
			if items.Len(c) == 0 {
				touched.Remove(c)
				return nil
			}
			touched.Set(c, c.BatchTime())
			c.SetTimer(c.BatchTime().Add(idle))
			return nil
		},
		engine.Holds(items, touched),
		engine.OnTimer(func(c *engine.KeyContext[string], _ time.Time, emit func(Cart)) error {
			left := Cart{Buyer: c.Key()}
			for item, n := range items.All(c) {
				left.Items = append(left.Items, fmt.Sprint(n, " ", item))
			}
			if at, ok := touched.Get(c); ok {
				left.Idle = c.BatchTime().Sub(at)
			}
			items.Clear(c)
			touched.Remove(c)
			emit(left)
			return nil
		}))
}

// event makes up an event: buyers come in turns, and each does a few things.
func (opt options) event(i int) (key string, value any) {
	things := []string{"book", "lamp", "pen", "chair", "map"}
	random := rand.New(rand.NewPCG(1, uint64(i)))
	wave := i / (10 * opt.buyers) * opt.buyers
	e := Event{Buyer: fmt.Sprintf("buyer-%d", wave+random.IntN(opt.buyers))}
	if random.Float64() < opt.buyings {
		e.Bought = true
	} else {
		e.Item, e.Count = things[random.IntN(len(things))], 1
	}
	return e.Buyer, e
}
