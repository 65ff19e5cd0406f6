package local_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

var chaosSeed = flag.Uint64("seed", 0, "run TestChaos with this seed only")

// TestChaos runs word counts while tasks fail, executors die and blocks vanish,
// and compares the results. A seed fixes the faults; which task meets which one
// depends on how the goroutines run.
func TestChaos(t *testing.T) {
	first, until := uint64(1), uint64(41)
	if *chaosSeed != 0 {
		first, until = *chaosSeed, *chaosSeed+1
	}
	faults := 0
	for seed := first; seed < until; seed++ {
		c := newChaos(t, seed)
		got, r, err := c.count(context.Background(), c.backend)
		if err != nil || got != expected {
			t.Fatalf("seed %d (repeat with -seed %d): %s, %v", seed, seed, got, err)
		}
		faults += c.faults
		if c.faults == 0 && r.Failed > 0 {
			t.Errorf("seed %d: %d tasks failed without a fault", seed, r.Failed)
		}
	}
	if t.Logf("%d faults in %d runs", faults, until-first); faults == 0 {
		t.Error("nothing went wrong, so nothing was shown")
	}
}

// TestChaosCached has several outputs read the same cached counts, while blocks are
// dropped that the driver relies on.
func TestChaosCached(t *testing.T) {
	missed := 0
	for seed := uint64(1); seed < 41; seed++ {
		c := newChaos(t, seed)
		c.cache()
		dag := scheduler.NewDAGScheduler(c.backend, c.opts)
		for output := range 5 {
			c.mu.Lock()
			c.faults = 0
			c.mu.Unlock()
			got, r, err := c.output(context.Background(), dag, output)
			if err != nil || got != expected {
				t.Fatalf("seed %d, output %d: %s, %v", seed, output, got, err)
			}
			if output > 0 && r.Tasks > 2 {
				missed++
			}
		}
		dag.Close()
		c.backend.Close()
	}
	if t.Logf("%d outputs were computed again", missed); missed == 0 {
		t.Error("nothing was missed, so nothing was shown")
	}
}

// chaos is a program on three executors to which things happen.
type chaos struct {
	*program
	backend *local.Backend

	mu     sync.Mutex
	rng    *rand.Rand
	faults int
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{program: newProgram(t, "a", "b", "c"), rng: rand.New(rand.NewPCG(seed, 3))}
	c.opts = scheduler.Options{MaxFailures: 20, MaxStageAttempts: 20, LocalityWait: -1}
	c.before = c.harm
	c.backend = local.New(c.executor("a", 1), c.executor("b", 2), c.executor("c", 1))
	return c
}

// harm is called before each task; it does at most five bad things in all.
func (c *chaos) harm(executor string, id scheduler.TaskID) error {
	c.mu.Lock()
	what, victim := 0, string("abc"[c.rng.IntN(3)])
	if c.faults < 5 {
		if what = c.rng.IntN(10); what > 0 && what < 5 || what == 5 && c.caches != nil {
			c.faults++
		}
	}
	c.mu.Unlock()
	switch what {
	case 1:
		return fmt.Errorf("fault %d in %s on %s", what, id, executor)
	case 2:
		panic("a bad task")
	case 3: // its blocks go, and nobody says so
		c.stores[victim].Clear()
	case 4:
		c.backend.Lose(victim, "by the test")
		c.backend.Add(c.executor(victim, 2))
	case 5: // what it cached goes, and nobody says so
		if c.caches != nil {
			c.caches[victim].Forget(2)
		}
	}
	return nil
}
