package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// A driver registers, hands over values and batches, runs tasks and forgets.
func TestRunsTasks(t *testing.T) {
	s := newSecret()
	h := succeed([]byte("result"))
	x := start(t, "x", s, h)
	d := drive(t, s, 1, x)
	name := NameOf("x", x.Address)
	if got := next(t, "the executor", d.lines); got != "added "+name+" with 2 slots" {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if d.Await(ctx); d.Ready() != 1 || ctx.Err() != nil {
		t.Fatalf("%d are ready", d.Ready())
	}
	if err := d.Invoke(7, []byte("batch")); err != nil {
		t.Fatal(err)
	}
	d.Launch(name, taskOf(1, 7, 3))
	if o := next(t, "the task's end", d.outcomes); string(o.(scheduler.Success).Result) != "result" {
		t.Errorf("%+v", o)
	}
	d.DropCached([]lineage.ID{{Batch: 7, DStream: 1, Ordinal: 2}})
	d.Forget(8, 8)
	d.Launch(name, taskOf(1, 8, 0)) // comes after Forget
	next(t, "the task's end", d.outcomes)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.dropped, []lineage.ID{{Batch: 7, DStream: 1, Ordinal: 2}}) {
		t.Errorf("dropped %v", h.dropped)
	}
	if h.forgotten != 8 || len(h.invoked) != 1 || h.invoked[0] != 7 || len(h.values) != 2 || h.values[1].Name != "b" {
		t.Errorf("forgotten %d, invoked %v, values %v", h.forgotten, h.invoked, h.values)
	}
	if err := d.Invoke(9, make([]byte, wire.MaxPayload+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a batch that can't be sent: %v", err)
	}
	d.Launch("nobody@127.0.0.1:1", taskOf(1, 8, 1)) // was lost meanwhile
	d.Kill("nobody@127.0.0.1:1", taskOf(1, 8, 1).ID, "no reason")
}

// Each way for a task to end comes as it was reported.
func TestOutcomes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, c := range []struct{ sent, got scheduler.Outcome }{
		{scheduler.Success{Map: &scheduler.MapStatus{Bytes: []int64{1, 0, 1 << 40}}}, nil},
		{scheduler.Success{Updates: []task.Update{{Accumulator: 3, Name: "bad lines", Data: []byte{7}}}}, nil},
		{scheduler.ExceptionFailure{Message: "m", Op: "map", Stack: "s", NoFault: true}, nil},
		{scheduler.ExceptionFailure{Message: long}, scheduler.ExceptionFailure{Message: long[:maxText] + " … (cut)"}},
		{scheduler.FetchFailed{Shuffle: 1, MapPartition: -1, Executor: "e", Message: "m"}, nil},
		{scheduler.BlockMissing{Executor: "e", Message: "m"}, nil},
		{scheduler.TaskKilled{Message: "m"}, nil},
		{scheduler.Denied{Message: "m"}, nil},
		{scheduler.ExecutorLost{}, scheduler.ExceptionFailure{Message: "the task ended with an outcome that an executor can't report: scheduler.ExecutorLost"}},
	} {
		messages := ended(taskOf(1, 1, 1).ID, c.sent)
		b, err := wire.Encode(messages[0])
		if err != nil {
			t.Fatal(err)
		}
		var m FromExecutor
		if err := wire.Decode(b, &m); err != nil {
			t.Fatal(err)
		}
		want := c.got
		if want == nil {
			want = c.sent
		}
		r := results{limit: 1}
		if got := r.outcome(m.Ended); !reflect.DeepEqual(got, want) {
			t.Errorf("sent %+v, got %+v", c.sent, got)
		}
	}
	r := results{limit: 1}
	if o := r.outcome(&TaskEnded{}); o != nil {
		t.Errorf("no outcome became %+v", o)
	}
}

// A result above the size of a message comes in parts; above the limit it fails
// the task, and the parts aren't kept.
func TestLargeResults(t *testing.T) {
	s := newSecret()
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	x := start(t, "x", s, succeed(large))
	d := drive(t, s, 1, x)
	next(t, "the executor", d.lines)
	d.Launch(Name(x.ExecutorProcess), taskOf(1, 1, 0))
	if o := next(t, "the task's end", d.outcomes); !bytes.Equal(o.(scheduler.Success).Result, large) {
		t.Error("the result changed on its way")
	}
	r := results{limit: 10}
	id := taskOf(1, 1, 0).ID
	for range 100 {
		r.add(&ResultPart{ID: id, Data: []byte("123456")})
	}
	if got := len(r.parts[id]); got != 11 {
		t.Errorf("%d bytes are kept", got)
	}
	if o, ok := r.outcome(&TaskEnded{ID: id, Success: &scheduler.Success{}}).(scheduler.ExceptionFailure); !ok || !strings.Contains(o.Message, "larger than the limit of 10 bytes") || len(r.parts) > 0 {
		t.Errorf("%+v, %d parts left", o, len(r.parts))
	}
}

// A task that asks whether it may commit is told what the driver says; one whose
// driver goes without an answer ends.
func TestCommit(t *testing.T) {
	s := newSecret()
	h := &host{run: func(ctx context.Context, task scheduler.Task) scheduler.Outcome {
		if err := task.AskCommit(ctx); err != nil {
			return scheduler.Failed(ctx, err)
		}
		return scheduler.Success{}
	}}
	x := start(t, "x", s, h)
	d := drive(t, s, 1, x)
	name := NameOf("x", x.Address)
	next(t, "the executor", d.lines)
	for partition, granted := range []bool{true, false} {
		task := taskOf(1, 7, int32(partition))
		d.Launch(name, task)
		if got, want := next(t, "the question", d.lines), fmt.Sprintf("partition %d attempt 0 asks to commit", partition); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		d.AnswerCommit(name, task.ID, granted)
		next(t, "the end", d.lines)
		switch o := next(t, "the outcome", d.outcomes).(type) {
		case scheduler.Success:
			if !granted {
				t.Error("a denied task succeeded")
			}
		case scheduler.Denied:
			if granted {
				t.Error("a granted task was denied")
			}
		default:
			t.Errorf("%+v", o)
		}
	}
	d.Launch(name, taskOf(1, 7, 2))
	next(t, "the question", d.lines)
	d.Kill(name, taskOf(1, 7, 2).ID, "by the test")
	if o, ok := next(t, "the outcome", d.outcomes).(scheduler.TaskKilled); !ok || o.Message != "by the test" {
		t.Errorf("%+v", o)
	}
}

// A task is killed on request.
func TestKill(t *testing.T) {
	s := newSecret()
	started, causes := make(chan scheduler.TaskID, 1), make(chan error, 1)
	x := start(t, "x", s, waiting(started, causes))
	d := drive(t, s, 1, x)
	next(t, "the executor", d.lines)
	d.Launch(Name(x.ExecutorProcess), taskOf(1, 1, 0))
	d.Kill(Name(x.ExecutorProcess), next(t, "the task", started), "not needed")
	if o := next(t, "the task's end", d.outcomes); o.Reason() != "killed: not needed" {
		t.Errorf("%+v", o)
	}
}

// The program can't be built: the driver is told, the others go on, and when
// none is left the job fails.
func TestRefusedBuilds(t *testing.T) {
	s := newSecret()
	good := start(t, "good", s, succeed(nil))
	var bad []*executor
	for _, id := range []string{"a", "b", "c"} {
		bad = append(bad, start(t, id, s, &host{refusal: "no such device"}))
	}
	d := drive(t, s, 1, append(bad, good)...)
	if got := next(t, "the executor that can", d.lines); !strings.Contains(got, "added good@") {
		t.Error(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d.Await(ctx) // the refused count as answered
	if ctx.Err() != nil || d.Ready() != 1 || len(d.failed) > 0 {
		t.Errorf("%d are ready, %v", d.Ready(), ctx.Err())
	}
	for _, x := range bad {
		if why := next(t, "the process's end", x.server.Failed()); why != "no such device" {
			t.Error(why)
		}
	}
	d = drive(t, s, 2, bad...)
	if err := next(t, "the job's failure", d.failed); !errors.Is(err, ErrNoExecutor) || !strings.Contains(err.Error(), "a, b, c: no such device") {
		t.Error(err)
	}
}

// What executors build and generate differently reaches the driver.
func TestDiverged(t *testing.T) {
	s := newSecret()
	x := start(t, "x", s, succeed(nil))
	d := drive(t, s, 1, x)
	next(t, "the executor", d.lines)
	if err := d.Invoke(3, []byte("other")); err != nil {
		t.Fatal(err)
	}
	if i := next(t, "the difference", d.diverged); i.Seq != 3 || i.Lineage[0] != "mine" {
		t.Errorf("%+v", i)
	}
	b := NewBackend(Config{
		Incarnation: incarnation, Epoch: 2, Security: s, Logger: slog.New(slog.DiscardHandler),
		Check:  func(string, *Registered) error { return errors.New("another graph") },
		Failed: func(err error) { d.failed <- err },
	})
	defer b.Close()
	b.SetMembers(wire.Members{Processes: []wire.ExecutorProcess{x.ExecutorProcess}, Expected: 1})
	b.Start(newEvents())
	for err := range d.failed { // the deposed driver fails too
		if err.Error() == "another graph" {
			return
		}
	}
}

// A newer driver ends the older one's stream and tasks; the older one is refused
// and gives up.
func TestDeposed(t *testing.T) {
	s := newSecret()
	started, causes := make(chan scheduler.TaskID, 2), make(chan error, 2)
	x := start(t, "x", s, waiting(started, causes))
	name := Name(x.ExecutorProcess)
	old := drive(t, s, 1, x)
	next(t, "the executor", old.lines)
	old.Launch(name, taskOf(1, 1, 0))
	next(t, "the task", started)

	heir := drive(t, s, 2, x)
	next(t, "the executor", heir.lines)
	if cause := next(t, "the old driver's task to end", causes); !strings.Contains(cause.Error(), "epoch 2") {
		t.Errorf("its cause is %v", cause)
	}
	if got := next(t, "the loss", old.lines); !strings.HasPrefix(got, "lost "+name) {
		t.Error(got)
	}
	if err := next(t, "the old driver's failure", old.failed); !errors.Is(err, ErrDeposed) || !errors.Is(err, wire.ErrStaleEpoch) {
		t.Error(err)
	}
	late := drive(t, s, 1, x) // as if it had been paused
	if err := next(t, "the refusal", late.failed); !errors.Is(err, ErrDeposed) {
		t.Error(err)
	}
	heir.Launch(name, taskOf(2, 1, 0))
	if id := next(t, "the heir's task", started); id.Epoch != 2 {
		t.Errorf("%+v", id)
	}
	heir.Kill(name, taskOf(2, 1, 0).ID, "enough")
	next(t, "its end", heir.outcomes)
	if len(old.outcomes) > 0 || len(heir.failed) > 0 {
		t.Error("the old driver heard of its task, or the heir failed")
	}
}

// proxy passes connections through to an address until it is cut or stopped.
type proxy struct {
	address string
	mu      sync.Mutex
	conns   []net.Conn
	stopped chan struct{} // closed: nothing passes any more, nothing is closed
	passing sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), stopped: make(chan struct{})}
	p.passing.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			p.passing.Go(func() { p.pass(in, out) })
			p.passing.Go(func() { p.pass(out, in) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); p.cut(); p.passing.Wait() })
	return p
}

// pass copies until a connection is closed; when the proxy stops it reads and
// drops.
func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.stopped:
		default:
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// through returns the executor as it is seen through a proxy.
func (x *executor) through(p *proxy) *executor {
	y := *x
	y.Address = p.address
	return &y
}

// When a stream breaks the executor's tasks end, the driver takes them for lost,
// connects again and tells of the batches in flight.
func TestReconnects(t *testing.T) {
	s := newSecret()
	started, causes := make(chan scheduler.TaskID, 2), make(chan error, 2)
	h := waiting(started, causes)
	p := newProxy(t, start(t, "x", s, h).Address)
	x := (&executor{ExecutorProcess: wire.ExecutorProcess{Executor: "x", Slots: 2}}).through(p)
	name := Name(x.ExecutorProcess)
	d := drive(t, s, 1, x)
	next(t, "the executor", d.lines)
	for seq := range uint64(3) {
		if err := d.Invoke(seq+1, nil); err != nil {
			t.Fatal(err)
		}
	}
	d.Launch(name, taskOf(1, 2, 0))
	next(t, "the task", started) // it was told of the batches
	d.Forget(2, 2)
	p.cut()
	if got := next(t, "the loss", d.lines); !strings.HasPrefix(got, "lost "+name) {
		t.Error(got)
	}
	next(t, "the task's end on the executor", causes)
	if got := next(t, "the executor again", d.lines); !strings.HasPrefix(got, "added "+name) {
		t.Error(got)
	}
	again := taskOf(1, 3, 0)
	d.Launch(name, again) // comes after the batches
	next(t, "a task on the new stream", started)
	h.mu.Lock()
	invoked := h.invoked
	h.mu.Unlock()
	if len(invoked) != 5 || invoked[3] != 2 || invoked[4] != 3 {
		t.Errorf("it was told of batches %v", invoked)
	}
	d.Kill(name, again.ID, "enough")
	if o := next(t, "its end", d.outcomes); o.Reason() != "killed: enough" || len(d.outcomes) > 0 {
		t.Errorf("%+v", o)
	}
}

// Tasks whose code is deaf to being killed keep their slots; a driver that
// reconnects launches as many again, and the executor neither locks up nor fails
// them.
func TestReconnectsToBusySlots(t *testing.T) {
	s := newSecret()
	release, begun := make(chan struct{}), make(chan struct{}, 100)
	p := newProxy(t, start(t, "x", s, &host{run: func(context.Context, scheduler.Task) scheduler.Outcome {
		begun <- struct{}{}
		<-release
		return scheduler.Success{}
	}}).Address)
	defer close(release)
	x := (&executor{ExecutorProcess: wire.ExecutorProcess{Executor: "x", Slots: 2}}).through(p)
	d := drive(t, s, 1, x)
	for round := range int32(4) {
		if got := next(t, "the executor", d.lines); !strings.HasPrefix(got, "added") {
			t.Fatal(got)
		}
		for slot := range int32(2) {
			d.Launch(Name(x.ExecutorProcess), taskOf(1, 1, 2*round+slot))
		}
		if round == 0 {
			next(t, "a task", begun)
			next(t, "a task", begun)
		}
		if err := d.Invoke(uint64(round+1), []byte("other")); err != nil {
			t.Fatal(err)
		}
		for next(t, "the executor's answer", d.diverged).Seq != uint64(round+1) {
		}
		p.cut()
		next(t, "the loss", d.lines)
	}
	if len(d.outcomes) > 0 {
		t.Errorf("%d tasks were told to have ended", len(d.outcomes))
	}
}

// A process that was started anew at another address is another executor; one
// that leaves is lost.
func TestMembersChange(t *testing.T) {
	s := newSecret()
	first := start(t, "x", s, succeed(nil))
	d := drive(t, s, 1, first)
	next(t, "the executor", d.lines)
	first.stop()
	if got := next(t, "the loss", d.lines); !strings.HasPrefix(got, "lost "+Name(first.ExecutorProcess)) {
		t.Error(got)
	}
	second := start(t, "x", s, succeed(nil))
	d.members(second)
	if got := next(t, "the new process", d.lines); got != "added "+Name(second.ExecutorProcess)+" with 2 slots" {
		t.Error(got)
	}
	for range 20 { // taken out and put back at once: the loss comes first
		d.members()
		d.members(second)
		if got := next(t, "the loss", d.lines); got != "lost "+Name(second.ExecutorProcess)+": its process has ended" {
			t.Fatal(got)
		}
		if got := next(t, "the same process", d.lines); !strings.HasPrefix(got, "added") {
			t.Fatal(got)
		}
	}
}

// A process that hangs keeps its connection; it is lost all the same.
func TestHungExecutor(t *testing.T) {
	s := newSecret()
	p := newProxy(t, start(t, "x", s, succeed(nil)).Address)
	x := (&executor{ExecutorProcess: wire.ExecutorProcess{Executor: "x", Slots: 2}}).through(p)
	d := &driver{events: newEvents()}
	d.Backend = NewBackend(Config{
		Incarnation: incarnation, Epoch: 1, Security: s, Logger: slog.New(slog.DiscardHandler),
		Check: func(string, *Registered) error { return nil },
	})
	defer d.Close()
	d.silence = 3 * wire.HeartbeatInterval
	d.members(x)
	d.Start(d.events)
	next(t, "the executor", d.lines)
	close(p.stopped)
	if got := next(t, "the loss", d.lines); !strings.Contains(got, "has said nothing for 1.5s") {
		t.Error(got)
	}
}

// An executor that takes its time to build the program isn't lost.
func TestSlowBuild(t *testing.T) {
	s := newSecret()
	h := succeed(nil)
	h.block = make(chan struct{})
	x := start(t, "x", s, h)
	stream := rawWork(t, x, s, &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: 1}})
	for range 2 { // it says so while it builds
		if m, err := stream.receive(); err != nil || m.Alive == nil {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	close(h.block)
	for {
		m, err := stream.receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Registered != nil {
			return
		}
	}
}

// Map outputs whose description no message can carry fail the task and say why.
func TestTooManyBlocks(t *testing.T) {
	s := newSecret()
	x := start(t, "x", s, succeed(nil))
	d := drive(t, s, 1, x)
	next(t, "the executor", d.lines)
	outs := &shuffle.Outputs{Batch: 1}
	sizes := make([]int64, 2000)
	for range 2000 {
		outs.Maps = append(outs.Maps, shuffle.Output{Bytes: sizes})
	}
	d.Launch(Name(x.ExecutorProcess), taskOf(1, 1, 0, outs))
	if o := next(t, "the task's end", d.outcomes); !strings.Contains(o.Reason(), "use fewer partitions") {
		t.Errorf("%+v", o)
	}
}

// What a driver mustn't send ends its stream with the reason.
func TestMalformedStreams(t *testing.T) {
	s := newSecret()
	x := start(t, "x", s, succeed(nil))
	hello := &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: 5}}
	for name, c := range map[string]struct {
		messages []*ToExecutor
		want     error
	}{
		"no hello":         {[]*ToExecutor{{Forget: &Forget{}}}, wire.ErrMalformed},
		"nothing in it":    {[]*ToExecutor{{}}, wire.ErrMalformed},
		"hello twice":      {[]*ToExecutor{hello, hello}, wire.ErrMalformed},
		"empty message":    {[]*ToExecutor{hello, {}}, wire.ErrMalformed},
		"another job":      {[]*ToExecutor{{Hello: &Hello{Incarnation: 1, Epoch: 5}}}, wire.ErrInvalid},
		"an older driver":  {[]*ToExecutor{{Hello: &Hello{Incarnation: incarnation, Epoch: 4}}}, wire.ErrStaleEpoch},
		"unnamed inputs":   {[]*ToExecutor{hello, {Launch: &Launch{ID: taskOf(5, 1, 0).ID, Inputs: []uint32{9}}}}, wire.ErrMalformed},
		"another's task":   {[]*ToExecutor{hello, {Launch: &Launch{ID: taskOf(4, 1, 0).ID}}}, wire.ErrMalformed},
		"values in a hole": {[]*ToExecutor{{Hello: &Hello{Incarnation: incarnation, Epoch: 5, Values: 2}}, {Values: &Values{First: 1, Values: make([]wire.Value, 1)}}}, wire.ErrMalformed},
	} {
		first := rawWork(t, x, s, hello) // an executor that has seen epoch 5
		if _, err := first.receive(); err != nil {
			t.Fatal(err)
		}
		stream := rawWork(t, x, s, c.messages...)
		var err error
		for err == nil {
			_, err = stream.receive()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who hangs up is no error.
	stream := rawWork(t, x, s, hello)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = stream.receive()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("hanging up: %v", err)
	}
}

// A wrong secret opens nothing; the backend keeps trying and Close ends that.
func TestWrongSecret(t *testing.T) {
	x := start(t, "x", newSecret(), succeed(nil))
	d := drive(t, newSecret(), 1, x)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	d.Await(ctx)
	if d.Ready() != 0 || len(d.lines) > 0 {
		t.Error("it was let in")
	}
}

// What is cached goes with the registration, before any task is launched, and then with
// the successes of tasks, of each driver's stream anew.
func TestTellsWhatIsStored(t *testing.T) {
	s := newSecret()
	h := succeed(nil)
	x := start(t, "x", s, h)
	for epoch := range uint64(2) {
		block := scheduler.StoredBlock{Block: task.Block{Batch: 7, DStream: 1, Ordinal: 2, Partition: int32(epoch)}, Level: 2, Bytes: 30}
		stores := func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.stored = []scheduler.StoredBlock{block}
		}
		stores()
		d := drive(t, s, 1+epoch, x)
		next(t, "the executor", d.lines)
		if line := next(t, "what it keeps", d.lines); line != fmt.Sprintf("stored partition %d of batch 7 on %s", epoch, Name(x.ExecutorProcess)) {
			t.Error(line)
		}
		stores()
		for _, want := range [][]scheduler.StoredBlock{{block}, nil} {
			d.Launch(Name(x.ExecutorProcess), taskOf(1+epoch, 7, 0))
			if o := next(t, "the task's end", d.outcomes); !reflect.DeepEqual(o, scheduler.Success{Stored: want}) {
				t.Errorf("%+v, want %+v", o, want)
			}
		}
	}
}

// Executor and scheduler are told how many slots the job has, and when that changes: tasks
// over the new share go on. Who connects later, or again, begins with the newest.
func TestShareOfSlots(t *testing.T) {
	s := newSecret()
	began, release := make(chan int32, 8), make(chan struct{})
	x := start(t, "x", s, &host{run: func(_ context.Context, task scheduler.Task) scheduler.Outcome {
		began <- task.ID.Partition
		<-release
		return scheduler.Success{}
	}})
	d := drive(t, s, 1)
	name := Name(x.ExecutorProcess)
	share := func(slots int) {
		p := x.ExecutorProcess
		p.Slots = slots
		d.SetMembers(wire.Members{Processes: []wire.ExecutorProcess{p}, Expected: 1})
	}
	expect := func(want string) {
		t.Helper()
		if got := next(t, want, d.lines); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	share(2)
	expect("added " + name + " with 2 slots")
	d.Launch(name, taskOf(1, 1, 0))
	d.Launch(name, taskOf(1, 1, 1))
	first, second := next(t, "a task", began), next(t, "a task", began)
	if first+second != 1 {
		t.Fatalf("tasks %d and %d", first, second)
	}
	share(1)
	expect("resized " + name + " to 1 slots")
	share(1) // is no news
	d.Launch(name, taskOf(1, 1, 2))
	d.Launch(name, taskOf(1, 1, 3))
	for range 2 {
		release <- struct{}{}
		next(t, "the end of a task that ran", d.outcomes)
		next(t, "its line", d.lines)
	}
	if p := next(t, "the task that waited", began); p != 2 || x.server.Slots() != 1 {
		t.Errorf("task %d began, with %d slots", p, x.server.Slots())
	}
	share(9) // more than the process has
	expect("resized " + name + " to 2 slots")
	if p := next(t, "the other one", began); p != 3 {
		t.Errorf("task %d began", p)
	}
	close(release)
	d.Close()

	heir := drive(t, s, 2)
	p := x.ExecutorProcess
	p.Slots = 1
	heir.SetMembers(wire.Members{Processes: []wire.ExecutorProcess{p}, Expected: 1})
	if got := next(t, "the executor", heir.lines); got != "added "+name+" with 1 slots" {
		t.Error(got)
	}
}

// What a driver may not give an executor ends its stream.
func TestSlotsOutOfBounds(t *testing.T) {
	s := newSecret()
	for _, slots := range []int{0, -1, 3} {
		x := start(t, "x", s, succeed(nil))
		stream := rawWork(t, x, s, &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: 1}}, &ToExecutor{Slots: &Slots{slots}})
		err := error(nil)
		for err == nil {
			_, err = stream.receive()
		}
		if !errors.Is(err, wire.ErrMalformed) || x.server.Slots() != 2 {
			t.Errorf("%d slots: %v, it has %d", slots, err, x.server.Slots())
		}
	}
}
