package keyed_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/hibana-engine/hibana/rdd/keyed"
)

// Versions stand side by side: the one before an edit stays what it was.
func ExampleTable_Edit() {
	codec, err := keyed.CodecFor[string, int]()
	if err != nil {
		log.Fatal(err)
	}
	edit := keyed.New[string, int](keyed.KeysOf(codec.Key), nil).Edit()
	edit.Put("ann", 1, 100)
	edit.Put("bob", 2, 100)
	first := edit.Commit()

	edit = first.Edit()
	edit.Put("ann", 10, 200)
	edit.Remove("bob", 200)
	second := edit.Commit()

	for _, t := range []*keyed.Table[string, int]{first, second} {
		ann, stamp, _ := t.Get("ann")
		_, _, bob := t.Get("bob")
		fmt.Printf("ann has %d since %d, bob is there: %v\n", ann, stamp, bob)
	}
	// Output:
	// ann has 1 since 100, bob is there: true
	// ann has 10 since 200, bob is there: false
}

// Timeouts: the entries that weren't put for long are found without a look at the others.
func ExampleTable_Until() {
	codec, err := keyed.CodecFor[string, int]()
	if err != nil {
		log.Fatal(err)
	}
	edit := keyed.New[string, int](keyed.KeysOf(codec.Key), nil).Edit()
	edit.Put("ann", 1, 100)
	edit.Put("bob", 2, 200)
	edit.Commit().Until(150, func(k string, v int, stamp int64) bool {
		fmt.Println(k, "was put at", stamp)
		return true
	})
	// Output: ann was put at 100
}

// A checkpoint is a base and the deltas that follow it.
func ExampleCodec_Build() {
	codec, err := keyed.CodecFor[string, int]()
	if err != nil {
		log.Fatal(err)
	}
	keys := keyed.KeysOf(codec.Key)
	of := keyed.Header{Table: "scores", Partition: 0, Partitions: 1}

	edit := keyed.New[string, int](keys, nil).Edit()
	edit.Put("ann", 1, 100)
	edit.Put("bob", 2, 100)
	var base, delta bytes.Buffer
	of.Until = 100
	if err := codec.WriteBase(&base, of, edit.Commit()); err != nil {
		log.Fatal(err)
	}

	edit.Put("ann", 10, 200)
	edit.Remove("bob", 200)
	of.Until = 200
	if err := codec.WriteDelta(&delta, of, edit.Commit(), 100); err != nil {
		log.Fatal(err)
	}

	t, last, err := codec.Build(keyed.New[string, int](keys, nil), of, &base, &delta)
	if err != nil {
		log.Fatal(err)
	}
	ann, _, _ := t.Get("ann")
	fmt.Println(last)
	fmt.Println(t.Len(), "entry, ann has", ann)
	// Output:
	// delta of 1 entries and 1 removals from 100 to 200 of table "scores", partition 0 of 1, string to int
	// 1 entry, ann has 10
}
