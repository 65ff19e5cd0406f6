package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// programInput returns the elements of a program's input.
func programInput(seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 5))
	in := make([]int, rng.IntN(120))
	for i := range in {
		in[i] = rng.IntN(1000)
	}
	return in
}

// programSeed returns the seed of the tests of random programs, and how many programs
// they run.
func programSeed(t *testing.T) (seed uint64, programs int) {
	t.Helper()
	seed, programs = 20261129, 100
	for name, v := range map[string]any{"HIBANA_SEED": &seed, "HIBANA_PROGRAMS": &programs} {
		if s := os.Getenv(name); s != "" {
			if _, err := fmt.Sscan(s, v); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	t.Logf("HIBANA_SEED=%d HIBANA_PROGRAMS=%d", seed, programs)
	return seed, programs
}

// reference returns what a program makes of its input in a batch, and the program.
func reference(t *testing.T, seed, batch uint64) (result, program []string) {
	t.Helper()
	sc := rddtest.NewBatch(batch, 2)
	r := rddtest.Program(seed, rdd.Parallelize(sc, programInput(seed), rdd.Partitions(2)), nil)
	parts, err := rddtest.Glom(r)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return slices.Concat(parts...), sc.Lineage().Describe()
}

// Random programs return on two executor processes what one goroutine makes of them, the
// same elements in the same order, while processes are killed, connections are cut and
// delayed, blocks are damaged in files and on the wire, and disks are full. HIBANA_SEED chooses other programs and HIBANA_PROGRAMS more of them.
func TestRandomPrograms(t *testing.T) {
	seed, programs := programSeed(t)
	d := newDisturber(t, seed)
	onExecutor := os.Getenv(role.Env) != ""
	inputs := make([][]int, programs)
	for i := range inputs {
		inputs[i] = programInput(seed + uint64(i))
	}
	strike := func(r *rdd.RDD[int]) *rdd.RDD[int] {
		batch := r.Node().ID.Batch
		return rdd.Map(r, func(v int) int {
			if onExecutor && v%3 == 0 {
				d.strike(batch)
			}
			return v
		})
	}
	r, err := enginetest.RunDisturbed(t, d.faults(), inputs, programs, func(in *engine.DStream[int]) *engine.DStream[string] {
		return engine.Transform(in, func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[string] {
			return rddtest.Program(seed+b.Seq-1, r, strike)
		})
	}, "--conf", "local.dir="+d.disk)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range r.Batches {
		if want, program := reference(t, seed+uint64(i), uint64(i+1)); !slices.Equal(got, want) {
			t.Errorf("program %d (HIBANA_SEED=%d HIBANA_PROGRAMS=1):\n got %s\nwant %s\n%s", i, seed+uint64(i), got, want, program)
		}
	}
	if len(r.Batches) != programs {
		t.Errorf("%d programs of %d ran", len(r.Batches), programs)
	}
	for _, kind := range kinds {
		n := d.count(t, kind)
		t.Logf("%d times: %s", n, kind)
		if programs >= 200 && n == 0 {
			t.Errorf("it never happened: %s", kind)
		}
	}
	t.Logf("%d programs ran, %d of %d bytes of shuffles came from other processes, %d partitions weren't kept",
		len(r.Batches), r.Metrics.ShuffleRemote, r.Metrics.ShuffleRead, r.Metrics.NotKept)
	if r.Metrics.ShuffleRemote == 0 {
		t.Error("nothing was read from another process")
	}
}
