package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
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
	seed, programs = 20261129, 200
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

// faults are what happens to an executor process while it computes.
type faults struct {
	marks once
	disk  string // where executors keep what doesn't stay in memory
}

// Each happens to every 10th program, at the first element of it that asks for it.
const (
	faultEvery   = 10
	killAt       = 0
	disconnectAt = 5
)

// strike is called in a task of the program with the given number, at an element. What it
// does, it does once: it kills the process, cuts its connections, or damages a file of
// blocks of an executor, if there is one yet.
func (f faults) strike(program uint64) {
	switch program % faultEvery {
	case killAt:
		if f.marks.first(fmt.Sprintf("kill-%d", program)) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	case disconnectAt:
		if f.marks.first(fmt.Sprintf("disconnect-%d", program)) {
			disconnect()
		}
	default:
		f.damage()
	}
}

// disconnect shuts all TCP connections of the process down.
func disconnect() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		n, err := strconv.Atoi(fd.Name())
		if err != nil {
			continue
		}
		peer, err := syscall.Getpeername(n)
		if _, tcp := peer.(*syscall.SockaddrInet4); err == nil && tcp {
			_ = syscall.Shutdown(n, syscall.SHUT_RDWR)
		}
	}
}

// damage changes the last byte of the first file of blocks that wasn't damaged yet.
func (f faults) damage() {
	files, _ := filepath.Glob(filepath.Join(f.disk, "*", "*"))
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 || !f.marks.first("damage-"+filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path)) {
			continue
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		var b [1]byte
		_, err = file.ReadAt(b[:], info.Size()-1)
		if b[0] ^= 0xff; err == nil {
			_, _ = file.WriteAt(b[:], info.Size()-1)
		}
		_ = file.Close()
		return
	}
}

// count returns how many faults of a kind there were.
func (f faults) count(t *testing.T, kind string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(f.marks.dir, kind+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// Random programs return on two executor processes what one goroutine makes of them, the
// same elements in the same order, while processes are killed, connections are cut and files
// of blocks are damaged. HIBANA_SEED chooses other programs and HIBANA_PROGRAMS more of them.
func TestRandomPrograms(t *testing.T) {
	seed, programs := programSeed(t)
	marks := newOnce(t)
	f := faults{marks, filepath.Join(marks.dir, "disk")}
	onExecutor := os.Getenv(role.Env) != ""
	if err := os.MkdirAll(f.disk, 0o700); err != nil {
		t.Fatal(err)
	}
	inputs := make([][]int, programs)
	for i := range inputs {
		inputs[i] = programInput(seed + uint64(i))
	}
	strike := func(r *rdd.RDD[int]) *rdd.RDD[int] {
		batch := r.Node().ID.Batch
		return rdd.Map(r, func(v int) int {
			if onExecutor && v%3 == 0 {
				f.strike(batch)
			}
			return v
		})
	}
	r, err := enginetest.RunOnCluster(t, inputs, programs, func(d *engine.DStream[int]) *engine.DStream[string] {
		return engine.Transform(d, func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[string] {
			return rddtest.Program(seed+b.Seq-1, r, strike)
		})
	}, "--conf", "local.dir="+f.disk)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range r.Batches {
		if want, program := reference(t, seed+uint64(i), uint64(i+1)); !slices.Equal(got, want) {
			t.Errorf("program %d (HIBANA_SEED=%d HIBANA_PROGRAMS=1):\n got %s\nwant %s\n%s", i, seed+uint64(i), got, want, program)
		}
	}
	kills, cuts, damages := f.count(t, "kill"), f.count(t, "disconnect"), f.count(t, "damage")
	if len(r.Batches) != programs || programs >= 4*faultEvery && (kills == 0 || cuts == 0) {
		t.Errorf("%d programs of %d ran, %d kills, %d times connections were cut", len(r.Batches), programs, kills, cuts)
	}
	t.Logf("%d programs ran, %d executors were killed, %d lost their connections, %d files were damaged, %d of %d bytes of shuffles came from other processes",
		len(r.Batches), kills, cuts, damages, r.Metrics.ShuffleRemote, r.Metrics.ShuffleRead)
	if r.Metrics.ShuffleRemote == 0 {
		t.Error("nothing was read from another process")
	}
}
