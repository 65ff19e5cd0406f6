package scheduler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// byHand is a backend whose executors are the test: what is launched waits until
// the test says how it ended.
type byHand struct {
	events   scheduler.BackendEvents
	launched chan launch // room for more than a test launches

	answers chan commitAnswer

	mu      sync.Mutex
	killed  []scheduler.TaskID
	dropped []lineage.ID
}

// commitAnswer is what a task was told.
type commitAnswer struct {
	id      scheduler.TaskID
	granted bool
}

type launch struct {
	executor string
	task     scheduler.Task
}

func (b *byHand) Start(events scheduler.BackendEvents) { b.events = events }

func (b *byHand) Launch(executor string, task scheduler.Task) {
	b.launched <- launch{executor, task}
}

func (b *byHand) AnswerCommit(_ string, id scheduler.TaskID, granted bool) {
	b.answers <- commitAnswer{id, granted}
}

func (b *byHand) DropCached(rdds []lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped = append(b.dropped, rdds...)
}

func (b *byHand) Kill(_ string, id scheduler.TaskID, _ string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed = append(b.killed, id)
}

// next returns the oldest launch. It waits for it in virtual time, longer than the
// scheduler pauses.
func (b *byHand) next(t *testing.T) (l launch) {
	t.Helper()
	select {
	case l = <-b.launched:
	case <-time.After(2 * time.Second):
		t.Fatal("no task was launched")
	}
	return l
}

func (b *byHand) end(l launch, o scheduler.Outcome) { b.events.TaskEnded(l.executor, l.task.ID, o) }

// wordCount is a job of two map tasks and one reduce task.
func wordCount(batch uint64, output int) scheduler.Job {
	l := rdd.NewContext(lineage.NewLineage(batch, 1), nil)
	return scheduler.NewJob(batch, output, rdd.CountedByValue(rdd.Parallelize(l, []int{1, 2}, rdd.Partitions(2)), rdd.Partitions(1)).Node())
}

// inBatch is a context of a batch with a lineage of its own.
func inBatch(batch uint64) *rdd.Context { return rdd.NewContext(lineage.NewLineage(batch, 1), nil) }

// single is a job of one task.
func single(batch uint64) scheduler.Job {
	return scheduler.NewJob(batch, 0, rdd.Parallelize(rdd.NewContext(lineage.NewLineage(batch, 1), nil), []int{1}, rdd.Partitions(1)).Node())
}

// submitted is a job that runs.
type submitted struct {
	result *scheduler.JobResult
	err    error
	ended  chan struct{}
}

func submit(ctx context.Context, d *scheduler.DAGScheduler, job scheduler.Job) *submitted {
	s := &submitted{ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.result, s.err = d.Submit(ctx, job)
	}()
	return s
}

// scheduled runs a test on a scheduler with one executor a of two slots.
func scheduled(t *testing.T, opts scheduler.Options, test func(t *testing.T, d *scheduler.DAGScheduler, b *byHand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &byHand{launched: make(chan launch, 16), answers: make(chan commitAnswer, 16)}
		d := scheduler.NewDAGScheduler(b, opts)
		defer d.Close()
		b.events.ExecutorAdded("a", 2)
		test(t, d, b)
	})
}

var oneBlock = scheduler.Success{Map: &scheduler.MapStatus{Bytes: []int64{5}}, Metrics: task.Metrics{RecordsRead: 10}}

func TestTasksAreToldWhereTheirInputIs(t *testing.T) {
	scheduled(t, scheduler.Options{Incarnation: 3, Epoch: 4}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, wordCount(9, 1))
		for range 2 {
			l := b.next(t)
			if id := l.task.ID; id.Incarnation != 3 || id.Epoch != 4 || id.Batch != 9 || id.Stage != 0 || len(l.task.Inputs) != 0 {
				t.Errorf("launched %+v", l.task)
			}
			b.end(l, oneBlock)
		}
		l := b.next(t)
		in := l.task.Inputs
		if l.task.ID.Stage != scheduler.ResultStage(1) || len(in) != 1 || in[0].Batch != 9 || in[0].Shuffle != 0 || len(in[0].Maps) != 2 {
			t.Fatalf("launched %+v", l.task)
		}
		for m, out := range in[0].Maps {
			if out.Executor != "a" || out.Attempt != 0 || len(out.Bytes) != 1 || out.Bytes[0] != 5 {
				t.Errorf("map task %d: %+v", m, out)
			}
		}
		b.end(l, scheduler.Success{Result: []byte("42"), Metrics: task.Metrics{RecordsRead: 1}})
		<-s.ended
		if r := s.result; s.err != nil || string(r.Partitions[0]) != "42" || r.Tasks != 3 || r.Stages != 2 || r.Failed != 0 || r.Metrics.RecordsRead != 21 {
			t.Errorf("%+v, %v", r, s.err)
		}
	})
}

// After a failed fetch the reading task is told of the new attempt.
func TestFetchFailureMovesTheInput(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, wordCount(1, 0))
		b.end(b.next(t), oneBlock)
		b.end(b.next(t), oneBlock)
		reduce := b.next(t)
		b.end(reduce, scheduler.FetchFailed{Shuffle: 0, MapPartition: 1, Executor: "a", Message: "gone"})
		again := b.next(t)
		if id := again.task.ID; id.Stage != 0 || id.Partition != 1 || id.Attempt != 1 {
			t.Fatalf("launched %+v", id)
		}
		b.end(again, oneBlock)
		reduce = b.next(t)
		if maps := reduce.task.Inputs[0].Maps; reduce.task.ID.Attempt != 1 || maps[0].Attempt != 0 || maps[1].Attempt != 1 {
			t.Errorf("launched %+v with %+v", reduce.task.ID, maps)
		}
		b.end(reduce, scheduler.Success{})
		<-s.ended
		if s.err != nil || s.result.Failed != 1 || s.result.Tasks != 4 {
			t.Errorf("%+v, %v", s.result, s.err)
		}
	})
}

// Edge 9: a task's fourth counted failure fails the job, in the user's words;
// what doesn't count may come oftener.
func TestLastCauseReachesTheSubmitter(t *testing.T) {
	var log bytes.Buffer
	scheduled(t, scheduler.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(5))
		for range 6 {
			b.end(b.next(t), scheduler.Denied{Message: "another attempt has it"})
		}
		for n := range 4 {
			b.end(b.next(t), scheduler.ExceptionFailure{Message: fmt.Sprintf("cause %d", n), Stack: "the stack"})
		}
		<-s.ended
		e, ok := errors.AsType[*scheduler.JobError](s.err)
		if !ok || e.Batch != 5 || e.Partition != 0 || e.Attempts != 10 || e.Message != "cause 3" || e.Stack != "the stack" || e.Executor != "a" || e.Op != "parallelize" || !strings.HasPrefix(e.Site.File, "scheduler/dag_test.go") {
			t.Errorf("%#v", s.err)
		}
		if r := s.result; r.Failed != 10 || r.Tasks != 0 || r.Stages != 0 || r.Partitions != nil {
			t.Errorf("what the job did that failed: %+v", r)
		}
	})
	if n := strings.Count(log.String(), "task failed"); n != 10 {
		t.Errorf("%d failures were logged:\n%s", n, log.String())
	}
}

// A task whose executors die of it fails the job like one that fails four times, and
// soon; executors that are only lost don't count.
func TestTaskThatKillsItsExecutors(t *testing.T) {
	var log bytes.Buffer
	scheduled(t, scheduler.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(5))
		began := time.Now()
		for n := range 9 {
			l := b.next(t)
			b.events.ExecutorLost(scheduler.ExecutorLost{Executor: l.executor, Message: "EOF"})
			if n%2 == 0 && n > 0 {
				b.events.ExecutorLost(scheduler.ExecutorLost{Executor: l.executor, Message: "exit status 3", LastWords: "bye", ByTask: true})
			}
			b.events.ExecutorAdded(fmt.Sprintf("x%d", n), 1)
		}
		<-s.ended
		e, ok := errors.AsType[*scheduler.JobError](s.err)
		if !ok || e.Op != "parallelize" || e.Message != "the executor process that ran it died: exit status 3" || !strings.HasSuffix(e.Stack, "wrote:\nbye") || e.Executor != "x7" || e.Attempts != 9 {
			t.Errorf("%#v", s.err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if s.result.Failed != 9 {
			t.Errorf("%d attempts failed", s.result.Failed)
		}
	})
	if lost, died := strings.Count(log.String(), `msg="executor lost"`), strings.Count(log.String(), "died by itself"); lost != 9 || died != 4 {
		t.Errorf("%d losses and %d deaths were logged:\n%s", lost, died, log.String())
	}
}

func TestFailuresInWords(t *testing.T) {
	tests := []struct {
		name string
		job  scheduler.Job
		end  func(id scheduler.TaskID) scheduler.Outcome
		want string
	}{
		{"fetch", wordCount(1, 0), func(id scheduler.TaskID) scheduler.Outcome {
			if id.Stage == 0 {
				return oneBlock
			}
			return scheduler.FetchFailed{MapPartition: -1, Executor: "a", Message: "connection refused"}
		}, "couldn't read its input 4 times in a row, the last time: connection refused"},
		{"never at fault", single(1), func(scheduler.TaskID) scheduler.Outcome { return scheduler.TaskKilled{Message: "preempted"} },
			"interrupted 32 times, the last time: killed: preempted"},
		{"no outcome", single(1), func(scheduler.TaskID) scheduler.Outcome { return nil }, "reported no outcome"},
		{"no sizes", wordCount(1, 0), func(scheduler.TaskID) scheduler.Outcome { return scheduler.Success{} }, "without the sizes of its blocks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
				s := submit(t.Context(), d, tt.job)
				for {
					synctest.Wait()
					select {
					case <-s.ended:
						if s.err == nil || !strings.Contains(s.err.Error(), tt.want) {
							t.Error(s.err)
						}
						return
					default:
						l := b.next(t)
						b.end(l, tt.end(l.task.ID))
					}
				}
			})
		})
	}
}

// What tasks of an older driver say is ignored.
func TestOldEpochIsIgnored(t *testing.T) {
	scheduled(t, scheduler.Options{Incarnation: 1, Epoch: 7}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(1))
		l := b.next(t)
		for _, id := range []scheduler.TaskID{{Incarnation: 1, Epoch: 6}, {Incarnation: 2, Epoch: 7}} {
			id.Batch, id.Stage = l.task.ID.Batch, l.task.ID.Stage
			b.events.TaskEnded("a", id, scheduler.Success{Result: []byte("old")})
		}
		synctest.Wait()
		b.end(l, scheduler.Success{Result: []byte("new")})
		<-s.ended
		if s.err != nil || string(s.result.Partitions[0]) != "new" {
			t.Errorf("%+v, %v", s.result, s.err)
		}
	})
}

func TestCancelKillsTasks(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := submit(ctx, d, single(1))
		l := b.next(t)
		cancel(errors.New("the user said so"))
		<-s.ended
		if s.err == nil || !strings.Contains(s.err.Error(), "the user said so") || len(b.killed) != 1 || b.killed[0] != l.task.ID {
			t.Errorf("%v, killed %v", s.err, b.killed)
		}
	})
}

func TestCloseEndsJobs(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(1))
		b.next(t)
		d.Close()
		if <-s.ended; !errors.Is(s.err, scheduler.ErrClosed) {
			t.Error(s.err)
		}
		if _, err := d.Submit(t.Context(), single(2)); !errors.Is(err, scheduler.ErrClosed) {
			t.Error(err)
		}
		d.Close()
		d.Forget(1, 1)
	})
}

func TestForgetEndsJobs(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, wordCount(1, 0))
		b.next(t)
		b.next(t)
		d.Forget(2, 2)
		if <-s.ended; !errors.Is(s.err, scheduler.ErrForgotten) || len(b.killed) != 2 {
			t.Error(s.err)
		}
		if _, err := d.Submit(t.Context(), single(1)); !errors.Is(err, scheduler.ErrForgotten) {
			t.Error(err)
		}
		if d.Tracker().Len() != 0 {
			t.Error("the tracker remembers")
		}
	})
}

func TestRefusals(t *testing.T) {
	scheduled(t, scheduler.Options{MaxResultBytes: 3}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, scheduler.NewJob(1, 0, rdd.Parallelize(rdd.NewContext(lineage.NewLineage(1, 1), nil), []int{1, 2, 3}, rdd.Partitions(3)).Node()))
		first, second := b.next(t), b.next(t)
		if _, err := d.Submit(t.Context(), single(1)); !errors.Is(err, scheduler.ErrDuplicateJob) {
			t.Error(err)
		}
		b.end(first, scheduler.Success{Result: []byte("ab")})
		b.end(second, scheduler.Success{Result: []byte("cd")})
		if <-s.ended; !errors.Is(s.err, lineage.ErrResultTooLarge) || !strings.Contains(s.err.Error(), "more than 3 bytes from 3 partitions") {
			t.Error(s.err)
		}
		if _, err := d.Submit(t.Context(), scheduler.Job{Batch: 2}); err == nil || !strings.Contains(err.Error(), "no RDD") {
			t.Error(err)
		}
		running := submit(t.Context(), d, wordCount(3, 0))
		synctest.Wait()
		other := rdd.CountedByValue(rdd.Parallelize(inBatch(3), []int{1, 2, 3}, rdd.Partitions(3)), rdd.Partitions(1))
		if _, err := d.Submit(t.Context(), scheduler.NewJob(3, 1, other.Node())); err == nil || !strings.Contains(err.Error(), "don't fit together") {
			t.Error(err)
		}
		d.Forget(4, 4)
		<-running.ended
	})
}

// A task that prefers a busy executor runs elsewhere after the locality wait.
func TestLocalityWait(t *testing.T) {
	scheduled(t, scheduler.Options{LocalityWait: 20 * time.Millisecond}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		before := submit(t.Context(), d, single(1))
		l := b.next(t)
		time.Sleep(time.Second) // of virtual time: the tasks aren't brief
		b.end(l, scheduler.Success{})
		<-before.ended
		b.events.ExecutorAdded("b", 1)
		var jobs []*submitted
		for batch := range uint64(3) { // two fill a, the third waits for it
			jobs = append(jobs, submit(t.Context(), d, single(2+batch)))
			synctest.Wait()
		}
		start := time.Now()
		first, second, third := b.next(t), b.next(t), b.next(t)
		if first.executor != "a" || second.executor != "a" || third.executor != "b" {
			t.Errorf("ran on %s, %s, %s", first.executor, second.executor, third.executor)
		}
		if waited := time.Since(start); waited < 20*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		for i, l := range []launch{first, second, third} {
			b.end(l, scheduler.Success{})
			<-jobs[i].ended
		}
	})
}

// A job may be of some partitions; the output's next job of others, with what the
// map stage left.
func TestSomePartitions(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		counts := rdd.CountedByValue(rdd.Parallelize(inBatch(1), []int{1}, rdd.Partitions(1)), rdd.Partitions(9))
		job := scheduler.NewJob(1, 0, counts.Node())
		blocks := scheduler.Success{Map: &scheduler.MapStatus{Bytes: make([]int64, 9)}}
		for round, partitions := range [][]int32{{0}, {2, 7}} {
			job.Partitions = partitions
			s := submit(t.Context(), d, job)
			if round == 0 {
				b.end(b.next(t), blocks)
			}
			for _, p := range partitions {
				l := b.next(t)
				if id := l.task.ID; id.Stage != scheduler.ResultStage(0) || id.Partition != p || len(l.task.Inputs) != 1 {
					t.Fatalf("round %d: launched %+v", round, l.task)
				}
				b.end(l, scheduler.Success{Result: fmt.Append(nil, p)})
			}
			<-s.ended
			if s.err != nil || len(s.result.Partitions) != len(partitions) {
				t.Fatalf("round %d: %+v, %v", round, s.result, s.err)
			}
			for i, p := range partitions {
				if got := string(s.result.Partitions[i]); got != fmt.Sprint(p) {
					t.Errorf("round %d: partition %d is %q", round, p, got)
				}
			}
		}
		job.Partitions = []int32{9}
		if _, err := d.Submit(t.Context(), job); err == nil || !strings.Contains(err.Error(), "don't fit together") {
			t.Error(err)
		}
	})
}

// cached is two outputs of a batch that read a cached RDD of two partitions, which one
// map task's output is counted in.
func cached(batch uint64) (first, second scheduler.Job, block func(p int32) scheduler.StoredBlock) {
	counts := rdd.CountedByValue(rdd.Parallelize(inBatch(batch), []int{1}, rdd.Partitions(1)), rdd.Partitions(2)).Cache()
	kept := counts.Filter(func(rdd.Pair[int, int64]) bool { return true })
	block = func(p int32) scheduler.StoredBlock {
		return scheduler.StoredBlock{Block: blockOf(counts.Node(), p), Level: 1, Bytes: 8}
	}
	return scheduler.NewJob(batch, 0, counts.Node()), scheduler.NewJob(batch, 1, kept.Node()), block
}

var twoBlocks = scheduler.Success{Map: &scheduler.MapStatus{Bytes: make([]int64, 2)}}

// What an indeterminate stage has cached goes with its output when it is begun anew: else
// partitions made of other records would be read together.
func TestRollbackDropsWhatIsCached(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		b.events.ExecutorAdded("b", 2)
		sc := inBatch(1)
		steady := rdd.Parallelize(sc, []int{1, 2}, rdd.Partitions(2)).Cache()
		spread := rdd.CountedByValue(steady.Indeterminate(), rdd.Partitions(2)).Cache()
		keys := rdd.Map(spread, func(p rdd.Pair[int, int64]) int { return p.Key }).Cache()
		submit(t.Context(), d, scheduler.NewJob(1, 0, keys.Node()))
		for range 2 {
			b.end(b.next(t), twoBlocks)
		}
		one, other := b.next(t), b.next(t)
		stored := scheduler.StoredBlock{Block: blockOf(spread.Node(), one.task.ID.Partition), Level: 1}
		b.end(one, scheduler.ExceptionFailure{Message: "later"})
		again := b.next(t)
		synctest.Wait()
		d.Blocks().Add("a", []scheduler.StoredBlock{stored, {Block: blockOf(steady.Node(), 0), Level: 1}})
		b.end(other, scheduler.FetchFailed{MapPartition: -1, Executor: other.task.Inputs[0].Maps[0].Executor, Message: "gone"})
		l := b.next(t)
		if l.task.ID.Stage != 0 || l.task.ID.Attempt != 1 {
			t.Fatalf("launched %+v", l.task)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if want := []lineage.ID{keys.Node().ID, spread.Node().ID}; !slices.Equal(b.dropped, want) {
			t.Errorf("dropped %v, want %v", b.dropped, want)
		}
		if !slices.Contains(b.killed, again.task.ID) || d.Blocks().Len() != 1 {
			t.Errorf("killed %v; %d partitions are thought to be cached", b.killed, d.Blocks().Len())
		}
	})
}

// What the first output cached the second reads there, without what is above.
func TestCachedPartitions(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		first, second, block := cached(1)
		s := submit(t.Context(), d, first)
		b.end(b.next(t), twoBlocks)
		for range 2 {
			l := b.next(t)
			b.end(l, scheduler.Success{Stored: []scheduler.StoredBlock{block(l.task.ID.Partition)}})
		}
		<-s.ended
		b.events.ExecutorLost(scheduler.ExecutorLost{Executor: "a"}) // with the map output
		for _, x := range []string{"b", "c"} {
			b.events.ExecutorAdded(x, 2)
		}
		synctest.Wait()
		if n := d.Blocks().Len(); n != 0 {
			t.Fatalf("%d blocks are held by an executor that is lost", n)
		}
		d.Blocks().Add("c", []scheduler.StoredBlock{block(0), block(1)})
		s = submit(t.Context(), d, second)
		read, missing := b.next(t), b.next(t)
		for _, l := range []launch{read, missing} {
			if id := l.task.ID; id.Stage != scheduler.ResultStage(1) || l.executor != "c" || len(l.task.Inputs) != 0 {
				t.Errorf("launched %+v on %s", l.task, l.executor)
			}
		}
		b.end(read, scheduler.Success{Result: []byte("read")})
		// One was dropped, and nobody knew: the map task runs again, then the task.
		b.end(missing, scheduler.BlockMissing{Blocks: []task.Block{block(1).Block}, Message: "dropped"})
		again := b.next(t)
		if id := again.task.ID; id.Stage != 0 || id.Attempt != 1 {
			t.Errorf("launched %+v", again.task)
		}
		b.end(again, twoBlocks)
		l := b.next(t)
		if id := l.task.ID; id.Stage != scheduler.ResultStage(1) || id.Partition != missing.task.ID.Partition || id.Attempt != 1 || len(l.task.Inputs) != 1 {
			t.Errorf("launched %+v", l.task)
		}
		b.end(l, scheduler.Success{Stored: []scheduler.StoredBlock{block(1)}})
		<-s.ended
		if s.err != nil || s.result.Tasks != 3 || s.result.Failed != 1 || string(s.result.Partitions[read.task.ID.Partition]) != "read" {
			t.Errorf("%+v, %v", s.result, s.err)
		}
		d.Forget(2, 2)
		synctest.Wait()
		if n := d.Blocks().Len(); n != 0 {
			t.Errorf("%d blocks of a forgotten batch", n)
		}
	})
}

// Output that is there still is given to tasks which should need none of it: a missing
// partition costs nothing then. If it isn't there either, the job is cut again.
func TestSpareOutput(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		first, second, block := cached(1)
		s := submit(t.Context(), d, first)
		b.end(b.next(t), twoBlocks)
		for range 2 {
			l := b.next(t)
			b.end(l, scheduler.Success{Stored: []scheduler.StoredBlock{block(l.task.ID.Partition)}})
		}
		<-s.ended
		s = submit(t.Context(), d, second)
		one, other := b.next(t), b.next(t)
		for _, l := range []launch{one, other} {
			if in := l.task.Inputs; len(in) != 1 || in[0].Maps[0].Executor != "a" {
				t.Fatalf("launched %+v", l.task)
			}
		}
		b.end(one, scheduler.Success{})
		b.end(other, scheduler.FetchFailed{Executor: "a", Message: "gone, too"})
		l := b.next(t) // the registry knows no better
		if len(l.task.Inputs) != 0 {
			t.Fatalf("launched %+v", l.task)
		}
		b.end(l, scheduler.BlockMissing{Message: "not given"})
		again := b.next(t)
		if again.task.ID.Stage != 0 {
			t.Fatalf("launched %+v", again.task)
		}
		b.end(again, twoBlocks)
		if l = b.next(t); len(l.task.Inputs) != 1 || l.task.ID.Attempt != 2 {
			t.Fatalf("launched %+v", l.task)
		}
		b.end(l, scheduler.Success{})
		if <-s.ended; s.err != nil || s.result.Tasks != 3 || s.result.Failed != 2 {
			t.Errorf("%+v, %v", s.result, s.err)
		}
	})
}

// A job whose blocks are said to be there, and never are, is cut whole in the end.
func TestBlocksAreMissingAgainAndAgain(t *testing.T) {
	scheduled(t, scheduler.Options{MaxFailures: 1}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		_, second, block := cached(1)
		second.Partitions = []int32{0}
		synctest.Wait() // a is there
		d.Blocks().Add("a", []scheduler.StoredBlock{block(0), block(1)})
		s := submit(t.Context(), d, second)
		missed := 0
		for {
			l := b.next(t)
			if l.task.ID.Stage == 0 {
				b.end(l, twoBlocks)
				break
			}
			b.end(l, scheduler.BlockMissing{Executor: "z", Message: "not there either"})
			missed++
		}
		b.end(b.next(t), scheduler.Success{})
		if <-s.ended; s.err != nil || missed != 4 {
			t.Errorf("after %d misses: %v", missed, s.err)
		}
	})
}

// A task that misses blocks which its stage doesn't read is at fault.
func TestMissesWithoutReason(t *testing.T) {
	scheduled(t, scheduler.Options{MaxFailures: 2}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(1))
		for range 2 {
			b.end(b.next(t), scheduler.BlockMissing{Message: "not here"})
		}
		if <-s.ended; s.err == nil || !strings.Contains(s.err.Error(), "of which its stage reads none: not here") {
			t.Error(s.err)
		}
	})
}

// instant runs tasks that do nothing.
type instant struct{}

func (instant) Run(_ context.Context, task scheduler.Task, _ *task.Slot) scheduler.Outcome {
	if _, ok := task.ID.Shuffle(); ok {
		return scheduler.Success{Map: &scheduler.MapStatus{Bytes: make([]int64, 1)}}
	}
	return scheduler.Success{}
}

// small is a job of eight map tasks and one reduce task. Its lineage serves every
// batch, since the tasks don't look at it.
func small() scheduler.Job {
	l := rdd.NewContext(lineage.NewLineage(1, 1), nil)
	return scheduler.NewJob(1, 0, rdd.Counted(rdd.Parallelize(l, []int{}, rdd.Partitions(8))).Node())
}

// Many outputs of many batches at once, on executors that come and go: all end
// well, and nothing is left.
func TestManyJobsAtOnce(t *testing.T) {
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: instant{}}, local.Executor{ID: "b", Slots: 1, Runner: instant{}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer d.Close()
	var jobs sync.WaitGroup
	for output := range 4 {
		jobs.Go(func() {
			for batch := range uint64(100) {
				job := wordCount(batch, output)
				if _, err := d.Submit(t.Context(), job); err != nil {
					t.Error(err)
				}
			}
		})
	}
	jobs.Go(func() {
		for range 20 {
			backend.Lose("b", "by the test")
			backend.Add(local.Executor{ID: "b", Slots: 1, Runner: instant{}})
		}
	})
	jobs.Wait()
	d.Forget(100, 100)
	if _, err := d.Submit(t.Context(), single(100)); err != nil { // after Forget was carried out
		t.Error(err)
	}
	if n := d.Tracker().Len(); n != 0 {
		t.Errorf("%d shuffles are tracked", n)
	}
}

// Batches come and go without end; what is held doesn't grow.
func TestNothingLeaks(t *testing.T) {
	const batches = 30_000 // the kernel alone has a test of 100,000
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: instant{}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer d.Close()
	job := small()
	var early uint64
	for n := uint64(1); n <= batches; n++ {
		job.Batch = n
		if _, err := d.Submit(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		d.Forget(n, n)
		if n == batches/10 {
			early = heap()
		}
	}
	if late := heap(); late > early+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes between batch %d and %d", early, late, batches/10, batches)
	}
	if n := d.Tracker().Len(); n > 1 {
		t.Errorf("%d shuffles are tracked", n)
	}
}

// The attempt that runs may commit its output, one of an earlier executor or of
// another driver may not.
func TestCommit(t *testing.T) {
	scheduled(t, scheduler.Options{Incarnation: 3, Epoch: 4}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, single(9))
		l := b.next(t)
		ask := func(executor string, id scheduler.TaskID, want bool) {
			t.Helper()
			b.events.CommitAsked(executor, id)
			if got := <-b.answers; got != (commitAnswer{id, want}) {
				t.Errorf("asked by %s on %s: %+v", id, executor, got)
			}
		}
		ask("a", l.task.ID, true)
		older := l.task.ID
		older.Epoch--
		ask("a", older, false)
		b.events.TaskEnded("a", l.task.ID, scheduler.Denied{Message: "by the test"})
		again := b.next(t)
		ask("a", l.task.ID, false)
		ask("a", again.task.ID, true)
		b.end(again, scheduler.Success{})
		if <-s.ended; s.err != nil || s.result.Failed != 1 {
			t.Errorf("%+v, %v", s.result, s.err)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkJob is the scheduler's share of a small batch: eight map tasks and a
// reduce task that do nothing, on two slots in this process.
func BenchmarkJob(b *testing.B) {
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: instant{}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer d.Close()
	job := small()
	b.ReportAllocs()
	for b.Loop() {
		job.Batch++
		if _, err := d.Submit(b.Context(), job); err != nil {
			b.Fatal(err)
		}
		d.Forget(job.Batch, job.Batch)
	}
}

// BenchmarkTasks is a stage of 10,000 tasks that do nothing, on two slots.
func BenchmarkTasks(b *testing.B) {
	const tasks = 10_000
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: instant{}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer d.Close()
	job := scheduler.NewJob(0, 0, rdd.Parallelize(rdd.NewContext(lineage.NewLineage(1, 1), nil), []int{}, rdd.Partitions(tasks)).Node())
	for b.Loop() {
		job.Batch++
		if _, err := d.Submit(b.Context(), job); err != nil {
			b.Fatal(err)
		}
		d.Forget(job.Batch, job.Batch)
	}
	b.ReportMetric(tasks*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
