package rdd_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// A value that can't be written is an error of the operator whose record it is.
func TestEndlessValueNamesTheOperator(t *testing.T) {
	type node struct{ Next *node }
	endless := func(int) *node {
		n := &node{}
		n.Next = n
		return n
	}
	codec, err := encoding.For[*node]()
	if err != nil {
		t.Fatal(err)
	}
	l := rddtest.NewBatch(1, 2)
	_, collected := rdd.CollectAction(rdd.Map(ints(l, 1, 1), endless), "collect", codec, -1, 1<<20).Run(rddtest.NewReference().Task(&lineage.Node{}, 0), 0)
	_, shuffled := rddtest.Glom(rdd.ReduceByKey(rdd.Map(ints(l, 1, 1), func(i int) rdd.Pair[int, *node] { return rdd.Pair[int, *node]{i, endless(i)} }), func(a, _ *node) *node { return a }, rdd.Partitions(1)))
	_, reduced := rddtest.Glom(rdd.Reduced(rdd.Map(ints(l, 1, 1), endless), func(a, _ *node) *node { return a }))
	for op, err := range map[string]error{"map": collected, "reduceByKey": shuffled, "reduce": reduced} {
		at, ok := errors.AsType[*rdd.OpError](err)
		if !errors.Is(err, encoding.ErrTooDeep) || !ok || at.Op != op || !strings.Contains(err.Error(), "encode_test.go") || !strings.Contains(err.Error(), "rdd_test.node") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// Pointers to pairs and structs with a pair embedded have the pair's methods, and
// not its encoding.
func TestWhatHasAPairsMethods(t *testing.T) {
	type tagged struct {
		pair
		Tag string
	}
	type Named = rdd.Pair[string, int]
	type event struct {
		Named `msgpack:"pair"`
		Tag   string
	}
	pointers, err := encoding.For[*pair]()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*pair{nil, {"a", 1}} {
		b, err := pointers.Append(nil, want)
		if got, _, err2 := pointers.Decode(b); err != nil || err2 != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v came back as %v, %v, %v", want, got, err, err2)
		}
	}
	events, err := encoding.For[event]()
	if err != nil {
		t.Fatal(err)
	}
	want := event{Named{"a", 1}, "x"}
	b, err := events.Append(nil, want)
	if got, _, err2 := events.Decode(b); err != nil || err2 != nil || got != want {
		t.Errorf("%v came back as %v, %v, %v", want, got, err, err2)
	}
	if _, err := encoding.For[tagged](); err != nil {
		t.Error(err)
	}
}
