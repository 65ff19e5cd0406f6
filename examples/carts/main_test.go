package main

import (
	"errors"
	"strings"
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

// What isn't possible is said before anything runs.
func TestBadFlags(t *testing.T) {
	good := options{idle: time.Second, buyers: 1, buyings: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*options){
		"--idle 0s is not above 0":         func(o *options) { o.idle = 0 },
		"--buyers -1 is below 1":           func(o *options) { o.buyers = -1 },
		"--buyings 1.5 is not from 0 to 1": func(o *options) { o.buyings = 1.5 },
	} {
		opt := good
		change(&opt)
		if err := opt.check(); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
