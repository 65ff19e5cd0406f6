package shuffle_test

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Two map tasks of executor a write; the driver notes it, and a reduce task reads.
func Example() {
	blocks := block.NewStore(1<<20, "")
	defer blocks.Close()
	store := shuffle.NewStore(blocks)
	tracker := shuffle.NewTracker()
	tracker.Register(1, 0, 2)
	for _, m := range []int32{1, 0} { // in whatever order they end
		id := shuffle.MapID{Batch: 1, Map: m}
		w := store.Writer(context.Background(), id, 1)
		defer w.Abort()
		if err := w.WriteBlock(0, fmt.Appendf(nil, "from map task %d", m)); err != nil {
			fmt.Println(err)
			return
		}
		sizes, err := w.Commit()
		if err != nil {
			fmt.Println(err)
			return
		}
		tracker.Add(id, "a", sizes, nil)
	}
	outputs, err := tracker.Outputs(1, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := shuffle.NewReader([]*shuffle.Outputs{outputs}, func(string) *shuffle.Store { return store })
	for block, err := range r.Blocks(context.Background(), 1, 0, 0) {
		fmt.Println(string(block), err)
	}
	// Output:
	// from map task 0 <nil>
	// from map task 1 <nil>
}
