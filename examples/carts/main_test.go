package main

import (
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// A cart is left behind two seconds after the last event; one that was paid for, or that is
// empty, isn't.
func TestAbandoned(t *testing.T) {
	events := [][]Event{
		{{Buyer: "ann", Item: "lamp", Count: 1}, {Buyer: "bob", Item: "pen", Count: 3}, {Buyer: "cid", Item: "map", Count: 1}},
		{{Buyer: "ann", Item: "book", Count: 2}, {Buyer: "bob", Bought: true}},
		{{Buyer: "cid", Item: "map", Count: -1}},
		{},
		{{Buyer: "ann", Item: "pen", Count: 1}},
	}
	want := [][]Cart{
		{}, {}, {},
		{{"ann", []string{"1 lamp", "2 book"}, 2 * time.Second}},
		{}, {},
		{{"ann", []string{"1 pen"}, 2 * time.Second}},
		{},
	}
	enginetest.Operation(t, events, func(in *engine.DStream[Event]) *engine.DStream[Cart] {
		return abandoned(in, 2*time.Second)
	}, want)
}
