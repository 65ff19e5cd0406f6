package executor

import (
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// reachingBack is a program whose batches reach back over 3 seconds.
func reachingBack() *plan.Program {
	p := &plan.Program{}
	in := p.Graph.AddStream(plan.Declaration{Op: "in"})
	window := p.Graph.AddStream(plan.Declaration{Op: "window"}, plan.Parent{ID: in.ID})
	window.Back = 3 * time.Second
	p.Graph.Outputs = append(p.Graph.Outputs, &plan.Output{Parent: plan.Parent{ID: window.ID}, Action: func(g *plan.Generation) lineage.Action {
		for _, batch := range g.Within(window.Back) {
			g.Lineage.In(batch.Alloc.Seq, in.ID, lineage.Site{}, func() { rdd.Parallelize(g.RDDs, []int{1}) })
		}
		return lineage.Action{}
	}})
	p.Graph.Freeze()
	return p
}

// told returns what an executor is told of a batch, one each second.
func told(seq uint64) plan.Invocation {
	return plan.Invocation{Allocation: &plan.Allocation{Format: plan.AllocationFormat, Seq: seq, TimeNanos: int64(seq) * 1e9}}
}

// generated is told with the lineage that the driver generated.
func generated(t *testing.T, p *plan.Program, seq uint64) plan.Invocation {
	t.Helper()
	inv := told(seq)
	var h plan.History
	for s := uint64(1); s <= seq; s++ {
		h.Add(told(s).Allocation)
	}
	gen, err := p.Graph.Generate(inv.Allocation, &h, 1)
	if err != nil {
		t.Fatal(err)
	}
	inv.Lineage = gen.Lineage.Hash()
	return inv
}

// A driver that takes over may repeat batches that the one before it had completed and
// couldn't tell the log of: these reach back further than what executors have kept.
func TestTakeoverReachesBackFurther(t *testing.T) {
	p := reachingBack()
	e, err := New(t.Context(), p, plan.JobHeader{Parallelism: 1}, Memory{Blocks: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Adopt(1)
	for seq := uint64(1); seq <= 9; seq++ {
		if err := e.Invoke(generated(t, p, seq)); err != nil {
			t.Fatal(err)
		}
	}
	e.Forget(10, 6)
	e.Adopt(2)
	e.Forget(6, 2)
	for seq := uint64(2); seq <= 5; seq++ {
		if err := e.Invoke(told(seq)); err != nil { // complete: it isn't generated
			t.Fatal(err)
		}
	}
	for seq := uint64(6); seq <= 10; seq++ {
		if err := e.Invoke(generated(t, p, seq)); err != nil {
			t.Errorf("batch %d: %v", seq, err)
		}
	}
}

// sixBatches returns an executor of reachingBack that was told of six batches.
func sixBatches(t *testing.T) *Executor {
	t.Helper()
	p := reachingBack()
	e, err := New(t.Context(), p, plan.JobHeader{Parallelism: 1}, Memory{Blocks: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for seq := uint64(1); seq <= 6; seq++ {
		if err := e.Invoke(generated(t, p, seq)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// What is cached of batches that others reach back to is kept as long as that stream is
// needed, and no longer.
func TestForgetKeepsWhatIsReachedBackTo(t *testing.T) {
	e := sixBatches(t)
	unneeded := e.unneeded(6) // the newest complete one is batch 5, of 5 s
	for _, c := range []struct {
		stream int32
		batch  uint64
		gone   bool
	}{{1, 2, true}, {1, 3, false}, {1, 5, false}, {1, 6, false}, {2, 5, true}, {2, 6, false}} {
		b := task.Block{Batch: c.batch, DStream: c.stream}
		if got := unneeded(block.ID{Batch: c.batch, Key: b}); got != c.gone {
			t.Errorf("stream %d of batch %d is forgotten: %v", c.stream, c.batch, got)
		}
	}
}

// A driver that takes over says what is forgotten before it tells of the batches that
// others reach back to: until then nothing that is cached goes.
func TestTakeoverKeepsWhatIsCached(t *testing.T) {
	e := sixBatches(t)
	old, cached := block.ID{Batch: 2, Key: task.Block{Batch: 2, DStream: 1}}, block.ID{Batch: 5, Key: task.Block{Batch: 5, DStream: 1}}
	e.Adopt(2)
	if unneeded := e.unneeded(6); unneeded(cached) || !unneeded(block.ID{Batch: 5, Key: "a shuffle's"}) {
		t.Error("before it is told of batches a cached partition is forgotten, or a shuffle's block kept")
	}
	e.Forget(6, 2)
	for seq := uint64(2); seq <= 5; seq++ {
		if err := e.Invoke(told(seq)); err != nil {
			t.Fatal(err)
		}
	}
	if unneeded := e.unneeded(6); unneeded(cached) || !unneeded(old) {
		t.Error("afterwards what is needed is forgotten, or what isn't is kept")
	}
}

// What was prefetched of a batch is dropped when the batch is complete, since another executor may
// have read it; and prefetched again if a driver that takes over repeats the batch.
func TestPrefetchedIsForgotten(t *testing.T) {
	p := &plan.Program{}
	in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "in"})}
	held := make(map[string]int)
	in.Prefetch = func(process *task.Process, ranges []byte) func() {
		if !process.Alone {
			t.Error("the executor has no others")
		}
		held[string(ranges)]++
		if string(ranges) == "nothing" {
			return nil
		}
		return func() { held[string(ranges)]-- }
	}
	p.Graph.Inputs = append(p.Graph.Inputs, in)
	p.Graph.Freeze()
	e, err := New(t.Context(), p, plan.JobHeader{Parallelism: 1}, Memory{Blocks: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	invoke := func(seq uint64, ranges string) {
		t.Helper()
		a := told(seq).Allocation
		a.Inputs = []plan.InputAllocation{{DStream: in.ID, Ranges: []byte(ranges)}}
		gen, err := p.Graph.Generate(a, &plan.History{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a driver that has connected again
			if err := e.Invoke(plan.Invocation{Allocation: a, Lineage: gen.Lineage.Hash()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.Adopt(1)
	for seq, ranges := range []string{"a", "b", "nothing", "c"} {
		invoke(uint64(seq+1), ranges)
	}
	e.Forget(4, 4)
	if held["a"] != 0 || held["b"] != 0 || held["c"] != 1 {
		t.Errorf("held are %v", held)
	}
	e.Adopt(2)
	invoke(3, "again")
	e.Forget(5, 5)
	if held["again"] != 0 || held["c"] != 0 {
		t.Errorf("held are %v", held)
	}
}
