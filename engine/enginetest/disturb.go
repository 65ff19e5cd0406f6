package enginetest

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/faults"
	"github.com/hibana-engine/hibana/scheduler"
)

// Disturb returns a flag with which a program that is run by this package, by [Operation] or
// [OnCluster] for example, meets what happens on a cluster. A right program's output is the same
// all the same. Some attempts of tasks
//
//   - do their work, and the driver hears that they failed: they are made again, so what a
//     function does beside its result (a counter, a file, a request) is done twice. This counts
//     against no task.
//   - find that what the map tasks before a shuffle left is gone: those are made again.
//   - lose their executor, with all that it keeps of shuffles, caches and states, and with
//     whatever else runs there, in the middle of its work. In virtual time ([Operation],
//     [Stream], [Batch] and their like) that is a set of slots in the test's process, which
//     comes back at once; what functions keep in variables stays. Of executor processes
//     ([OnCluster] and its like) it is the process that is killed and started again.
//
// An attempt's coordinates (batch, stage, partition, number of the attempt) and the seed alone
// say what comes over it; what runs beside it at the time isn't decided. One seed does little:
// take 50 of them, each in a subtest. After each run the test's log has the seed and how much
// was lost, which is printed if the test fails.
//
// A partition's fourth attempt is left in peace, and a stage may be attempted 100 times
// (--conf stage.maxConsecutiveAttempts), so programs come to their end; only of an RDD that is
// declared [rdd.RDD.Indeterminate] what was lost can fail the program, as on a cluster. Batches
// may be late by some milliseconds of virtual time, on executor processes by as long as these
// take to start. The driver, what it does in [engine.ForEachBatch] for example, and its sources
// aren't disturbed.
func Disturb(seed uint64) string { return disturbFlag + strconv.FormatUint(seed, 10) }

// disturbFlag begins what Disturb returns. It is the package's own: the engine knows no such flag.
const disturbFlag = "--disturb="

// disturbance is what comes over a program.
type disturbance struct {
	seed uint64
	lost [faults.ExecutorLost + 1]atomic.Int64 // in this process, by what was lost
}

// flagsOf returns what comes over a program that a test runs on a master with args, nil for
// nothing, and the engine's flags: those that are needed for that, and args, which come after them.
func flagsOf(t *testing.T, master string, args []string) (d *disturbance, flags []string) {
	t.Helper()
	flags = []string{"--master", master, "--log-level", "error"}
	var given []string
	for _, arg := range args {
		digits, is := strings.CutPrefix(arg, disturbFlag)
		if !is {
			given = append(given, arg)
			continue
		}
		seed, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
		d = &disturbance{seed: seed}
	}
	if d != nil {
		flags = append(flags, "--conf", "stage.maxConsecutiveAttempts=100")
	}
	return d, append(flags, given...)
}

// in returns a context for a program that is disturbed.
func (d *disturbance) in(ctx context.Context) context.Context {
	if d == nil {
		return ctx
	}
	f := faults.Of(ctx)
	f.Task = d.strike
	return faults.With(ctx, f)
}

// Bounds of what is disturbed, so that any program comes to its end.
const (
	disturbedAttempts = 3 // of a partition
	fatalPartitions   = 4 // of a stage, whose attempts may lose executors: that sets back what runs beside them
)

// strike says what comes over an attempt before its work, or after it.
func (d *disturbance) strike(id scheduler.TaskID, done bool) faults.Harm {
	if id.Attempt >= disturbedAttempts {
		return faults.None
	}
	place := uint64(uint32(id.Stage))<<32 | uint64(uint32(id.Partition))<<2 | uint64(id.Attempt)
	rnd := rand.New(rand.NewPCG(d.seed<<32+id.Batch, place))
	after, harm := rnd.IntN(2) == 0, faults.None
	switch n := rnd.IntN(32); {
	case n < 4:
		after, harm = true, faults.EndLost // before its work it would do no harm
	case n < 6:
		harm = faults.OutputsLost
	case n < 7 && id.Partition < fatalPartitions:
		harm = faults.ExecutorLost
	}
	if after != done {
		return faults.None
	}
	d.lost[harm].Add(1)
	return harm
}

// report says in the test's log what came over a run.
func (d *disturbance) report(t *testing.T) {
	t.Helper()
	if d == nil {
		return
	}
	t.Logf("disturbed by seed %d; lost in this process: %d ends of attempts, %d times what map tasks had left, %d executors",
		d.seed, d.lost[faults.EndLost].Load(), d.lost[faults.OutputsLost].Load(), d.lost[faults.ExecutorLost].Load())
}
