package main

import (
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// records are orders and payments that come in one batch.
type records struct {
	Orders   []Order
	Payments []Payment
}

// matched declares the join of both kinds of records.
func matched(in *engine.DStream[records], within time.Duration) *engine.DStream[Paid] {
	orders := engine.FlatMap(in, func(r records) []Order { return r.Orders })
	payments := engine.FlatMap(in, func(r records) []Payment { return r.Payments })
	return match(orders, payments, within)
}

// A payment finds the orders of its batch and of the one before, and comes out once.
func TestMatch(t *testing.T) {
	input := [][]records{
		{{Orders: []Order{{"a", 10}, {"b", 20}}, Payments: []Payment{{"a", 10}, {"c", 30}}}},
		{{Payments: []Payment{{"b", 19}}}},
		{{Orders: []Order{{"c", 30}}, Payments: []Payment{{"b", 1}}}},
		{},
	}
	none := rdd.None[Order]()
	enginetest.Operation(t, input, func(in *engine.DStream[records]) *engine.DStream[Paid] {
		return matched(in, 2*time.Second)
	}, [][]Paid{
		{{Payment{"a", 10}, rdd.Some(Order{"a", 10})}, {Payment{"c", 30}, none}},
		{{Payment{"b", 19}, rdd.Some(Order{"b", 20})}},
		{{Payment{"b", 1}, none}},
		{},
	})
}

func TestMatchOnCluster(t *testing.T) {
	input := [][]records{{{Orders: []Order{{"a", 10}}}}, {{Payments: []Payment{{"a", 10}}}}}
	enginetest.ClusterOperation(t, input, func(in *engine.DStream[records]) *engine.DStream[Paid] {
		return matched(in, time.Hour)
	}, [][]Paid{{}, {{Payment{"a", 10}, rdd.Some(Order{"a", 10})}}})
}

// What is made up has a slip in one of fifty payments.
func TestMadeUp(t *testing.T) {
	slips := 0
	for i := range 1000 {
		_, o := order(i)
		if _, p := payment(i); p.(Payment).Order != o.(Order).ID {
			slips++
		}
	}
	if slips != 20 {
		t.Errorf("%d slips", slips)
	}
}
