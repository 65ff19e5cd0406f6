package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// slowStream is a stream that says what is sent on it, and takes until it is told to go on.
type slowStream[Out, In any] struct {
	sent chan *Several[Out]
	goOn chan error // the result of Send
}

func newSlowStream[Out, In any]() slowStream[Out, In] {
	return slowStream[Out, In]{make(chan *Several[Out]), make(chan error)}
}

func (s slowStream[Out, In]) Send(m *Several[Out]) error {
	s.sent <- m
	return <-s.goOn
}

func (s slowStream[Out, In]) Recv() (*Several[In], error) { return nil, errors.ErrUnsupported }

// told lists messages to an executor.
func told(s *Several[ToExecutor]) string {
	var all []string
	for _, m := range s.Messages {
		switch {
		case m.Launch != nil:
			all = append(all, fmt.Sprint("launch ", m.Launch.ID.Partition))
		case m.Kill != nil:
			all = append(all, fmt.Sprint("kill ", m.Kill.ID.Partition))
		case m.Hold != nil:
			all = append(all, "hold")
		case m.Invoke != nil:
			all = append(all, fmt.Sprint("batch ", m.Invoke.Seq))
		case m.Forget != nil:
			all = append(all, fmt.Sprint("forget until ", m.Forget.Until))
		}
	}
	return strings.Join(all, ", ")
}

// What has queued up for an executor while something was sent goes as one, in order; the
// first goes at once, and what isn't of tasks alone.
func TestLaunchesAsOne(t *testing.T) {
	stream := newSlowStream[ToExecutor, FromExecutor]()
	out := newOutbox()
	out.open(nil)
	gone := make(chan error, 1)
	go func() { gone <- out.send(t.Context(), driverEnd(stream)) }()
	out.launch(taskOf(1, 1, 0))
	if got := told(next(t, "the first", stream.sent)); got != "launch 0" {
		t.Error(got)
	}
	out.launch(taskOf(1, 1, 1))
	out.launch(taskOf(1, 1, 2))
	out.post(&ToExecutor{Kill: &KillTask{ID: taskOf(1, 1, 1).ID}})
	out.post(&ToExecutor{Hold: &Hold{}})
	out.launch(taskOf(1, 1, 3))
	for _, want := range []string{"launch 1, launch 2, kill 1", "hold", "launch 3"} {
		stream.goOn <- nil
		if got := told(next(t, want, stream.sent)); got != want {
			t.Errorf("%s went as one, want %s", got, want)
		}
	}
	broken := errors.New("the stream broke")
	stream.goOn <- broken
	if err := next(t, "the sender's end", gone); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// That a batch is complete is told with what comes next, if that comes soon, and a batch may go with its tasks, unless
// what describes it is on the disk.
func TestBatchesAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := newSlowStream[ToExecutor, FromExecutor]()
		r := newRecord(t.TempDir(), 1000)
		defer func() {
			if err := r.close(); err != nil {
				t.Error(err)
			}
		}()
		b := newBriefing(r)
		l := &link{out: newOutbox()}
		b.join(l)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- l.out.send(ctx, driverEnd(stream)) }()
		invoke := func(seq uint64, size int) {
			if err := b.invoke(invocation(seq, size)); err != nil {
				t.Error(err)
			}
		}
		forget := func(seq uint64) {
			if err := b.forget(Forget{Until: seq, Keep: seq}); err != nil {
				t.Error(err)
			}
		}
		sent := func(want string) {
			t.Helper()
			if got := told(next(t, want, stream.sent)); got != want {
				t.Errorf("%s went as one, want %s", got, want)
			}
		}
		forget(1)
		synctest.Wait()
		select {
		case <-stream.sent:
			t.Error("it is sent although nothing else is")
		default:
		}
		invoke(1, 10)
		sent("forget until 1, batch 1")
		l.launch(taskOf(1, 1, 0))
		forget(2)
		invoke(2, 20)
		l.launch(taskOf(1, 2, 0))
		stream.goOn <- nil
		sent("launch 0, forget until 2, batch 2, launch 0")
		l.launch(taskOf(1, 2, 1))
		invoke(3, 2000) // more than is kept in memory
		l.launch(taskOf(1, 3, 0))
		stream.goOn <- nil
		sent("launch 1")
		stream.goOn <- nil
		sent("batch 3, launch 0")
		stream.goOn <- nil
		forget(4)
		began := time.Now()
		sent("forget until 4") // since nothing else comes
		if waited := time.Since(began); waited != forgetDelay {
			t.Errorf("that a batch is complete is sent after %s, want %s", waited, forgetDelay)
		}
		stream.goOn <- nil
		cancel()
		if err := next(t, "the sender's end", gone); err != nil {
			t.Error(err)
		}
	})
}

// So do the ends of tasks. Who says what is stored says it in their order. Of a stream that
// breaks nothing more is sent, and the next session is told none of it.
func TestEndsAsOne(t *testing.T) {
	stream := newSlowStream[FromExecutor, ToExecutor]()
	x := newSession()
	batches := uint64(0)
	x.tellStored(func() []scheduler.StoredBlock {
		batches++
		return []scheduler.StoredBlock{{Block: task.Block{Batch: batches}}}
	})
	gone := make(chan error, 1)
	go func() { gone <- x.send(t.Context(), executorEnd(stream)) }()
	end := func(partitions ...int32) {
		var all []*FromExecutor
		for _, p := range partitions {
			all = append(all, ended(taskOf(1, 1, p).ID, scheduler.Success{})...)
		}
		x.post(all...)
	}
	says := func(what string) string {
		for {
			var all []string
			for _, m := range next(t, what, stream.sent).Messages {
				if m.Ended != nil { // else it is alive
					all = append(all, fmt.Sprintf("%d stored %d", m.Ended.ID.Partition, m.Ended.Success.Stored[0].Block.Batch))
				}
			}
			if len(all) > 0 {
				return strings.Join(all, ", ")
			}
			stream.goOn <- nil
		}
	}
	end(0)
	if got := says("the first"); got != "0 stored 1" {
		t.Error(got)
	}
	end(1, 2)
	end(3)
	stream.goOn <- nil
	if got := says("the others"); got != "1 stored 2, 2 stored 3, 3 stored 4" {
		t.Error(got)
	}
	end(4)
	broken := errors.New("the stream broke")
	stream.goOn <- broken
	if err := next(t, "the sender's end", gone); !errors.Is(err, broken) || batches != 4 {
		t.Errorf("%v, told of %d", err, batches)
	}
}

// countingStream keeps what is sent.
type countingStream[Out, In any] struct {
	slowStream[Out, In]
	kept []*Several[Out]
}

func (s *countingStream[Out, In]) Send(m *Several[Out]) error {
	s.kept = append(s.kept, m)
	return nil
}

// largest are numbers and names that take most room on the wire.
var (
	largestID    = scheduler.TaskID{Incarnation: math.MaxUint64, Epoch: math.MaxUint64, Batch: math.MaxUint64, Stage: math.MinInt32, Partition: math.MaxInt32, Attempt: math.MaxInt32}
	largestBlock = task.Block{Batch: math.MaxUint64, DStream: math.MinInt32, Ordinal: math.MaxInt32, Partition: math.MaxInt32, Indeterminate: true}
)

// What goes as one takes no more bytes than it is allowed to; what is larger goes alone, and
// all in order.
func TestSeveralHaveALimit(t *testing.T) {
	const n = math.MaxInt64
	long := strings.Repeat("x", 300)
	launches := &countingStream[ToExecutor, FromExecutor]{}
	to := driverEnd(launches)
	ends := &countingStream[FromExecutor, ToExecutor]{}
	from := executorEnd(ends)
	for i := range 1000 {
		l := &Launch{ID: largestID, Inputs: slices.Repeat([]uint32{math.MaxUint32}, i%7)}
		l.ID.Partition = int32(math.MaxInt32 - i)
		for range i % 3 {
			l.Elsewhere = append(l.Elsewhere, scheduler.HeldBlocks{Executor: long, Blocks: slices.Repeat([]task.Block{largestBlock}, i%5)})
		}
		if i == 500 {
			l.Elsewhere = []scheduler.HeldBlocks{{Executor: "x", Blocks: make([]task.Block, 1<<16)}}
		}
		s := &scheduler.Success{
			Result: make([]byte, i%300), Map: &scheduler.MapStatus{Bytes: slices.Repeat([]int64{n}, i%11), Small: make([]byte, i%13)},
			Stored:  slices.Repeat([]scheduler.StoredBlock{{Block: largestBlock, Level: math.MaxUint8, Bytes: n}}, i%4),
			Metrics: task.Metrics{RecordsRead: n, BytesRead: n, RecordsWritten: n, ShuffleRead: n, ShuffleRemote: n, ShuffleWritten: n, BadRecords: n, Lost: n, NotKept: n, CacheRemote: n},
			Updates: slices.Repeat([]task.Update{{Accumulator: n, Name: long, Data: make([]byte, i%5)}}, i%3),
			Notes:   slices.Repeat([][]byte{make([]byte, i%300)}, i%3),
			Freed:   n,
		}
		if i == 500 {
			s.Result = make([]byte, wire.MaxPayload)
		}
		if err := errors.Join(to.add(&ToExecutor{Launch: l}), from.add(&FromExecutor{Ended: &TaskEnded{ID: l.ID, Success: s}})); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.flush(), from.flush(), to.flush()); err != nil {
		t.Fatal(err)
	}
	checkSizes(t, launches.kept, func(m *ToExecutor) scheduler.TaskID { return m.Launch.ID })
	checkSizes(t, ends.kept, func(m *FromExecutor) scheduler.TaskID { return m.Ended.ID })
}

func checkSizes[M any](t *testing.T, all []*Several[M], id func(*M) scheduler.TaskID) {
	t.Helper()
	count := 0
	for _, s := range all {
		for _, m := range s.Messages {
			if want := int32(math.MaxInt32 - count); id(m).Partition != want {
				t.Fatalf("partition %d comes where %d should", id(m).Partition, want)
			}
			count++
		}
		b, err := wire.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > maxSeveral && len(s.Messages) > 1 || len(b) > wire.MaxMessage {
			t.Errorf("%d messages take %d bytes", len(s.Messages), len(b))
		}
	}
	if count != 1000 || len(all) > count/4 {
		t.Errorf("%d messages went as %d", count, len(all))
	}
}

// A message that is broken in the middle ends the stream there: what comes before it counts,
// on either side, and what comes after it doesn't.
func TestBrokenInTheMiddle(t *testing.T) {
	e := newEvents()
	l := &link{common: &common{events: e}, name: "x"}
	of := func(p int32) *FromExecutor { return ended(taskOf(1, 1, p).ID, scheduler.Success{})[0] }
	came := &answeringStream[ToExecutor, FromExecutor]{came: []*FromExecutor{of(0), of(1), nil, of(2)}}
	if err := l.receive(driverEnd(came)); !errors.Is(err, wire.ErrMalformed) {
		t.Error(err)
	}
	if got := []string{<-e.lines, <-e.lines}; got[0] != "ended partition 0 attempt 0" || got[1] != "ended partition 1 attempt 0" || len(e.lines) > 0 {
		t.Errorf("the driver heard %q and %d more", got, len(e.lines))
	}

	started, causes := make(chan scheduler.TaskID, 3), make(chan error, 3)
	s := newSecret()
	x := start(t, "x", s, waiting(started, causes))
	stream := rawWork(t, x, s, &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: 1}})
	launch := func(p int32) *ToExecutor { return &ToExecutor{Launch: &Launch{ID: taskOf(1, 1, p).ID}} }
	if err := stream.stream.Send(&Several[ToExecutor]{[]*ToExecutor{launch(0), nil, launch(1)}}); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = stream.receive()
	}
	if !errors.Is(err, wire.ErrMalformed) {
		t.Error(err)
	}
	x.stop() // all tasks have ended
	close(started)
	for id := range started { // it may have been killed before it began
		if id.Partition != 0 {
			t.Errorf("a task began that came after the break: %s", id)
		}
	}
}

// answeringStream is a stream on which messages came as one.
type answeringStream[Out, In any] struct {
	slowStream[Out, In]
	came []*In
}

func (s *answeringStream[Out, In]) Recv() (*Several[In], error) { return &Several[In]{s.came}, nil }

// However often the stream breaks while tasks are launched and end, each counts once.
func TestBrokenStreamsLoseAndDoubleNothing(t *testing.T) {
	const tasks, breaks = 400, 4
	s := newSecret()
	var p atomic.Pointer[proxy]
	h := &host{run: func(_ context.Context, task scheduler.Task) scheduler.Outcome {
		id := task.ID
		if id.Attempt == 0 && id.Partition%(tasks/breaks) == tasks/breaks/2 {
			p.Load().cut()
		}
		o := scheduler.Success{Result: fmt.Append(nil, id.Partition)}
		o.Metrics.RecordsRead = 1
		return o
	}}
	p.Store(newProxy(t, start(t, "x", s, h).Address))
	x := (&executor{ExecutorProcess: wire.ExecutorProcess{Executor: "x", Slots: 2}}).through(p.Load())
	b := NewBackend(Config{
		Incarnation: incarnation, Epoch: 1, Security: s, MaxResultBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
		Check: func(string, *Registered) error { return nil },
	})
	defer b.Close()
	b.SetMembers(wire.Members{Processes: []wire.ExecutorProcess{x.ExecutorProcess}, Expected: 1})
	d := scheduler.NewDAGScheduler(b, scheduler.Options{Incarnation: incarnation, Epoch: 1})
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := d.Submit(ctx, scheduler.NewJob(1, 0, &lineage.Node{Op: "number", Partitions: tasks}))
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range r.Partitions {
		if string(got) != fmt.Sprint(i) {
			t.Errorf("partition %d is %q", i, got)
		}
	}
	if r.Tasks != tasks || r.Metrics.RecordsRead != tasks || r.Failed < breaks {
		t.Errorf("%d tasks with %d records counted, and %d attempts were lost", r.Tasks, r.Metrics.RecordsRead, r.Failed)
	}
}
