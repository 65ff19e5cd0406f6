package rdd

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A table that a task left is empty for the next one; one that is large, or was hardly
// used, is left to nobody.
func TestCombinersAreLeftEmpty(t *testing.T) {
	keys, err := encoding.ForKey[float64]()
	if err != nil {
		t.Fatal(err)
	}
	nan := 0.0
	nan /= nan
	p := new(task.Process)
	pool := combinerPool[float64, []int]{}.of(p)
	for _, c := range []struct {
		uses []int // keys of each use
		left bool  // after the last
	}{{[]int{10}, true}, {[]int{10, 3}, true}, {[]int{1000, 3}, false}, {[]int{mostPooled + 1}, false}} {
		for pool.Get() != nil { // what the case before left
		}
		table := newCombiners[float64, []int](keys)
		for _, n := range c.uses {
			for pool.Get() != nil { // the task takes the table that the one before left
			}
			for i := range n {
				v, _ := table.slot(float64(i))
				*v = append(*v, i)
			}
			table.slot(nan)
			table.giveBack(p)
		}
		left := pool.Get()
		if left != nil && !c.left {
			t.Errorf("%v: it was left to others", c.uses)
		}
		if _, known := table.find(1); c.left && (known || len(table.pairs) > 0) {
			t.Errorf("%v: it isn't empty", c.uses)
		}
		if _, isNew := table.slot(nan); c.left && !isNew {
			t.Errorf("%v: it knows NaN", c.uses)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if c := pooledCombiners[float64, []int](p, keys); len(c.pairs) > 0 {
		t.Error("a process that ends has tables of others")
	}
}
