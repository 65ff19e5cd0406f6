package local_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/local"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a word count of a lineage, and what its executors share.
type program struct {
	rdds   *rdd.Context
	action lineage.Action
	codec  encoding.Codec[rdd.Pair[string, int64]]
	stores map[string]*shuffle.Store
	caches map[string]*task.Cache // nil unless the counts are cached
	// before is called before each task; an error fails the task.
	before func(executor string, id scheduler.TaskID) error
	opts   scheduler.Options
}

func newProgram(t *testing.T, executors ...string) *program {
	t.Helper()
	p := &program{rdds: rdd.NewContext(lineage.NewLineage(1, 2), nil), stores: map[string]*shuffle.Store{}}
	words := rdd.Parallelize(p.rdds, strings.Fields("a b a c b a d a"), rdd.Partitions(4))
	counts := rdd.CountedByValue(words, rdd.Partitions(2))
	var err error
	if p.codec, err = encoding.For[rdd.Pair[string, int64]](); err != nil {
		t.Fatal(err)
	}
	p.action = rdd.CollectAction(counts, "collect", p.codec, -1, 1<<20)
	for _, x := range executors {
		kept := block.NewStore(1<<20, t.TempDir())
		t.Cleanup(func() {
			if err := kept.Close(); err != nil {
				t.Error(err)
			}
		})
		p.stores[x] = shuffle.NewStore(kept)
	}
	return p
}

// worker runs the program's tasks on one executor.
type worker struct {
	*program
	name string
}

func (w worker) Run(ctx context.Context, t scheduler.Task, slot *task.Slot) scheduler.Outcome {
	if w.before != nil {
		if err := w.before(w.name, t.ID); err != nil {
			return scheduler.Failed(ctx, err)
		}
	}
	tc := &task.Context{
		Context: ctx, Batch: 1, Partition: int(t.ID.Partition), Attempt: int(t.ID.Attempt), Slot: slot,
		Shuffle: shuffle.NewReader(t.Inputs, func(x string) *shuffle.Store { return w.stores[x] }),
		Cache:   w.caches[w.name],
	}
	if _, ok := t.ID.Output(); ok {
		b, err := w.action.Run(tc, tc.Partition)
		if err != nil {
			return scheduler.Failed(ctx, err)
		}
		return scheduler.Success{Result: b, Metrics: tc.Metrics, Stored: w.stored(t.ID)}
	}
	dep := w.rdds.Lineage().Shuffle(int(t.ID.Stage))
	out := w.stores[w.name].Writer(ctx, shuffle.MapID{Batch: 1, Shuffle: t.ID.Stage, Map: t.ID.Partition, Attempt: t.ID.Attempt}, dep.Partitions())
	if err := dep.Write(tc, tc.Partition, out); err != nil {
		out.Abort()
		return scheduler.Failed(ctx, err)
	}
	sizes, err := out.Commit()
	if err != nil {
		return scheduler.Failed(ctx, err)
	}
	return scheduler.Success{Map: &scheduler.MapStatus{Bytes: sizes}, Metrics: tc.Metrics}
}

// stored says what a result task has cached.
func (p *program) stored(id scheduler.TaskID) []scheduler.StoredBlock {
	if p.caches == nil {
		return nil
	}
	n := p.action.Final.ID
	return []scheduler.StoredBlock{{Block: task.Block{Batch: n.Batch, DStream: n.DStream, Ordinal: n.Ordinal, Partition: id.Partition}, Level: 1}}
}

// cache makes the program keep its counts. It does so before the tasks run.
func (p *program) cache() {
	p.action.Final.Lineage().Cache(p.action.Final, false)
	p.caches = make(map[string]*task.Cache)
	for x := range p.stores {
		p.caches[x] = &task.Cache{}
	}
}

// count runs the program and returns its result as text, and what failed.
func (p *program) count(ctx context.Context, backend *local.Backend) (string, *scheduler.JobResult, error) {
	dag := scheduler.NewDAGScheduler(backend, p.opts)
	defer backend.Close()
	defer dag.Close()
	return p.output(ctx, dag, 0)
}

// output counts once more on a scheduler.
func (p *program) output(ctx context.Context, dag *scheduler.DAGScheduler, output int) (string, *scheduler.JobResult, error) {
	r, err := dag.Submit(ctx, scheduler.NewJob(1, output, p.action.Final))
	if err != nil {
		return "", nil, err
	}
	rows, err := rdd.DecodeRows(p.codec, r.Partitions)
	total := map[string]int64{}
	for _, kv := range rows {
		total[kv.Key] += kv.Value
	}
	return fmt.Sprint(total), r, err
}

func (p *program) executor(name string, slots int) local.Executor {
	return local.Executor{ID: name, Slots: slots, Runner: worker{p, name}, OnLost: p.stores[name].Clear}
}

const expected = "map[a:4 b:2 c:1 d:1]"

func TestRunsAJob(t *testing.T) {
	p := newProgram(t, "a", "b")
	got, r, err := p.count(context.Background(), local.New(p.executor("a", 2), p.executor("b", 1)))
	if err != nil || got != expected || r.Tasks != 6 || r.Failed != 0 || r.Metrics.ShuffleWritten == 0 || r.Metrics.ShuffleRead != r.Metrics.ShuffleWritten {
		t.Errorf("%s, %+v, %v", got, r, err)
	}
}

// A task that fails is tried again, four times in all.
func TestRetries(t *testing.T) {
	var tries atomic.Int32
	broken := errors.New("bad luck")
	p := newProgram(t, "a")
	p.before = func(_ string, id scheduler.TaskID) error {
		if id.Stage == 0 && id.Partition == 2 && tries.Add(1) < 4 {
			return broken
		}
		return nil
	}
	if got, r, err := p.count(context.Background(), local.New(p.executor("a", 2))); err != nil || got != expected || r.Failed != 3 {
		t.Errorf("%s, %+v, %v", got, r, err)
	}
	p = newProgram(t, "a")
	p.before = func(_ string, id scheduler.TaskID) error {
		if id.Partition == 1 {
			return broken
		}
		return nil
	}
	_, _, err := p.count(context.Background(), local.New(p.executor("a", 2)))
	var job *scheduler.JobError
	if !errors.As(err, &job) || job.Partition != 1 || job.Attempts != 4 || !strings.Contains(err.Error(), "bad luck") {
		t.Errorf("%v", err)
	}
}

// An executor that dies between the stages takes its blocks with it: its map
// tasks run again elsewhere, and the result is the same.
func TestExecutorLostWithItsBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "a", "b")
		backend := local.New(p.executor("a", 1), p.executor("b", 1))
		var lost atomic.Bool
		p.before = func(executor string, id scheduler.TaskID) error {
			if _, result := id.Output(); result && lost.CompareAndSwap(false, true) {
				other := map[string]string{"a": "b", "b": "a"}[executor]
				backend.Lose(other, "killed by the test")
			}
			return nil
		}
		got, r, err := p.count(context.Background(), backend)
		if err != nil || got != expected || !lost.Load() || r.Tasks <= 6 && r.Failed == 0 {
			t.Errorf("%s, %+v, %v", got, r, err)
		}
	})
}

// A second output reads what the first cached, and nothing above it. If that is gone
// and nobody knew, the map tasks run again.
func TestCached(t *testing.T) {
	p := newProgram(t, "a", "b")
	p.cache()
	p.opts.MaxStageAttempts = 8 // each names one map task whose blocks are gone
	backend := local.New(p.executor("a", 1), p.executor("b", 1))
	defer backend.Close()
	dag := scheduler.NewDAGScheduler(backend, p.opts)
	defer dag.Close()
	clear := func() {
		for _, s := range p.stores {
			s.Clear()
		}
	}
	for output, round := range []struct {
		before func()
		tasks  int
		fails  bool
	}{
		{before: func() {}, tasks: 6},
		{before: clear, tasks: 2},
		{before: func() { p.caches["a"].Forget(2); p.caches["b"].Forget(2); clear() }, tasks: 6, fails: true},
		{before: clear, tasks: 2},
	} {
		round.before()
		got, r, err := p.output(context.Background(), dag, output)
		if err != nil || got != expected || r.Tasks != round.tasks || r.Failed > 0 != round.fails {
			t.Errorf("output %d: %s, %+v, %v", output, got, r, err)
		}
	}
}

// A job ends with its context, and its tasks with it.
func TestCancelledJob(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	backend := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(ctx context.Context, id scheduler.TaskID, s *task.Slot) scheduler.Outcome {
		cancel(enough)
		return untilKilled(ctx, id, s)
	})})
	if _, _, err := newProgram(t, "a").count(ctx, backend); !errors.Is(err, enough) {
		t.Error(err)
	}
}

// A panic that escapes the runner fails the task, not the process.
func TestEscapedPanic(t *testing.T) {
	p := newProgram(t, "a")
	p.before = func(string, scheduler.TaskID) error { panic("out of the frying pan") }
	if _, _, err := p.count(context.Background(), local.New(p.executor("a", 1))); err == nil || !strings.Contains(err.Error(), "frying pan") {
		t.Error(err)
	}
}
