package replay

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Entries come out of their pieces as they were, whatever the pieces' size, and however
// often they are told.
func TestPieces(t *testing.T) {
	entries := []Entry{
		{Format: Format, Step: 1, Begun: &Step{Lines: []string{"map", "collect"}}, Gone: Gone{Shuffles: []int{3, 4}, Cached: []int32{5}}},
		{Format: Format, Step: 1, Result: &Result{Parts: [][]byte{[]byte(strings.Repeat("x", 1000)), nil, {}}}},
		{Format: Format, Step: 2, Begun: &Step{}},
		{Format: Format, Step: 2, Result: &Result{}},
		{Format: Format, Step: 2, Result: &Result{Parts: [][]byte{nil}, Updates: []task.Update{{Accumulator: 1, Name: "sum", Data: []byte{3}}}}},
		{Format: Format, Step: 3, Result: &Result{Failure: &Failure{Message: "boom", TooLarge: true}}},
	}
	for _, size := range []int{2, 3, 100, 1 << 20} {
		var u Unpacker
		var pieces [][]byte
		var got []Entry
		for _, e := range entries {
			packed, err := Pack(e, size)
			if err != nil {
				t.Fatal(err)
			}
			pieces = append(pieces, packed...)
		}
		for i, p := range pieces {
			if len(p) > size {
				t.Fatalf("a piece of %d bytes, at most %d go", len(p), size)
			}
			for range 2 { // the second time is after the driver has connected again
				e, err := u.Add(uint64(i+1), p)
				if err != nil {
					t.Fatal(err)
				}
				if e != nil {
					got = append(got, *e)
				}
			}
		}
		if len(got) != len(entries) {
			t.Fatalf("size %d: %d entries", size, len(got))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], entries[i]) {
				t.Errorf("size %d: %+v became %+v", size, entries[i], got[i])
			}
		}
		if _, err := u.Add(uint64(len(pieces)+2), []byte{last}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("a piece that follows none: %v", err)
		}
	}
	var u Unpacker
	if _, err := u.Add(1, nil); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("an empty piece: %v", err)
	}
	newer, err := Pack(Entry{Format: Format + 1, Step: 1, Result: &Result{}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(Unpacker).Add(1, newer[0]); !errors.Is(err, plan.ErrFormat) {
		t.Errorf("an entry of another format: %v", err)
	}
}

// count is a program of one action, which it comes to when come is closed.
func count(come <-chan struct{}) *plan.Program {
	return &plan.Program{Parallelism: 2, Log: slog.New(slog.DiscardHandler), Settings: plan.DefaultSettings(), Calls: &plan.Calls{}, Body: func(sc *rdd.Context) error {
		<-come
		_, err := rdd.Count(rdd.CountedByValue(rdd.Parallelize(sc, []int{1, 2, 3})))
		return err
	}}
}

// recorder is a cluster that keeps what it is told.
type recorder struct{ entries []Entry }

func (r *recorder) Tell(e Entry) error {
	r.entries = append(r.entries, e)
	return nil
}

func (r *recorder) RunAction(context.Context, int, lineage.Action) (*scheduler.JobResult, error) {
	return &scheduler.JobResult{Tasks: 3, Failed: 4, Stages: 1, Metrics: task.Metrics{RecordsRead: 6, BadRecords: 5, ShuffleWritten: 7}}, &scheduler.JobError{Message: "boom"}
}

// record returns what a driver tells of a program.
func record(t *testing.T, p *plan.Program) []Entry {
	t.Helper()
	var r recorder
	d := NewDriver(Config{Program: p, Cluster: &r, Failing: func(error) {}, StepEnded: func() {}, Log: p.Log})
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatal(err)
	}
	if s := d.Summary(); s.Steps != 1 || s.Actions != 1 || s.Stages != 1 || s.Tasks != 3 || s.Failed != 4 || s.Metrics.ShuffleWritten != 7 {
		t.Errorf("it did %+v", s)
	}
	return r.entries
}

// A task waits for its copy of the program to come to its step, and not for ever.
func TestTasksWaitForTheirStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := make(chan struct{})
		close(there)
		entries := record(t, count(there))
		if len(entries) != 2 || entries[0].Begun == nil || entries[1].Result == nil {
			t.Fatalf("the driver told %+v", entries)
		}

		come := make(chan struct{})
		c := NewCopy(count(come), func(err error) { t.Error(err) }, func(Gone) {})
		defer c.Wait()
		defer c.Stop()
		c.Tell(entries[0])
		action := scheduler.TaskID{Stage: scheduler.ResultStage(1)}
		write := scheduler.TaskID{Stage: scheduler.MapStage(0)}
		began := time.Now()
		if _, err := c.Find(t.Context(), write); !errors.Is(err, errLate) || time.Since(began) != taskPatience || !strings.Contains(err.Error(), "the program (for ") {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Find(ctx, action); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a task that is killed: %v", err)
		}

		time.AfterFunc(time.Minute, func() { close(come) })
		if f, err := c.Find(t.Context(), action); err != nil || f.Action == nil || f.Action.Op != "count" {
			t.Errorf("%+v, %v", f, err)
		}
		if f, err := c.Find(t.Context(), write); err != nil || f.Shuffle == nil || f.Shuffle.ID != 0 {
			t.Errorf("%+v, %v", f, err)
		}
		c.Tell(entries[1])
		synctest.Wait()
		if _, err := c.Find(t.Context(), action); !errors.Is(err, ErrOver) {
			t.Errorf("a task of a step that is done: %v", err)
		}
	})
}

// What was told of another program, or in another order, isn't followed.
func TestCopyThatCannotFollow(t *testing.T) {
	there := make(chan struct{})
	close(there)
	for name, tell := range map[string]func(entries []Entry) []Entry{
		"other RDDs":       func(e []Entry) []Entry { e[0].Begun.Lines = e[0].Begun.Lines[1:]; return e },
		"a missing entry":  func(e []Entry) []Entry { return e[1:] },
		"an entry doubled": func(e []Entry) []Entry { return []Entry{e[0], e[0]} },
		"a step more":      func(e []Entry) []Entry { return append(e, Entry{Step: 2, Begun: e[0].Begun}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failures []error
				c := NewCopy(count(there), func(err error) { failures = append(failures, err) }, func(Gone) {})
				for _, e := range tell(record(t, count(there))) {
					c.Tell(e)
				}
				synctest.Wait()
				ctx, kill := context.WithTimeout(t.Context(), time.Second) // as the driver does when it is told
				if _, err := c.Find(ctx, scheduler.TaskID{Stage: scheduler.ResultStage(1)}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a task says again what the driver was told: %v", err)
				}
				kill()
				if _, err := c.Find(t.Context(), scheduler.TaskID{Stage: scheduler.ResultStage(1)}); !errors.Is(err, plan.ErrDiverged) {
					t.Errorf("a task that nobody kills: %v", err)
				}
				c.Stop()
				c.Wait()
				if len(failures) != 1 || !errors.Is(failures[0], plan.ErrDiverged) {
					t.Errorf("told %v", failures)
				}
			})
		})
	}
}

// A copy that is behind is told no more than it has room for, unless it takes nothing at all.
func TestCopyThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		come := make(chan struct{})
		c := NewCopy(count(come), func(err error) { t.Error(err) }, func(Gone) {})
		defer c.Wait()
		defer c.Stop()
		defer close(come)
		there := make(chan struct{})
		close(there)
		entries := record(t, count(there))
		entries[1].Result.Parts = [][]byte{make([]byte, maxQueued)}
		room := make(chan error, 1)
		ask := func(ctx context.Context) {
			go func() { room <- c.Room(ctx) }()
			synctest.Wait()
		}
		for _, e := range entries {
			if ask(t.Context()); len(room) != 1 || <-room != nil {
				t.Fatal("a copy that keeps little has no room")
			}
			c.Tell(e)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := c.Room(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a copy that keeps much has room: %v", err)
		}
		if err := c.Room(t.Context()); err != nil || time.Since(began) != taskPatience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if ask(t.Context()); len(room) != 1 || <-room != nil {
			t.Error("a copy that takes nothing is waited for a second time")
		}
	})
}

// A copy that takes something now and then, and never so much that it has room, isn't waited
// for longer than one that takes nothing: there are tasks behind what it is to be told.
func TestCopyThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCopy(nil, func(err error) { t.Error(err) }, func(Gone) {})
		c.told = true // what it is told is taken here
		half := Entry{Result: &Result{Parts: [][]byte{make([]byte, maxQueued/2+1)}}}
		small := Entry{Result: &Result{}}
		take := func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.pop()
		}
		for _, e := range []Entry{small, small, half, half} {
			c.Tell(e)
		}
		began := time.Now()
		room := make(chan error, 1)
		go func() { room <- c.Room(t.Context()) }()
		for range 2 {
			time.Sleep(taskPatience / 2)
			take()
		}
		if err := <-room; err != nil || time.Since(began) != taskPatience {
			t.Errorf("waited for %s: %v", time.Since(began), err)
		}
		c.Tell(half)
		take() // one half
		take() // the other one: there is room
		c.Tell(half)
		if err := c.Room(t.Context()); err != nil || time.Since(began) != 2*taskPatience {
			t.Errorf("after it had room, waited until %s: %v", time.Since(began), err)
		}
	})
}

// There is room again when the copy has taken what it was told, and when it is stopped.
func TestRoomAgain(t *testing.T) {
	for _, how := range []string{"taken", "stopped"} {
		synctest.Test(t, func(t *testing.T) {
			come, there := make(chan struct{}), make(chan struct{})
			close(there)
			c := NewCopy(count(come), func(err error) { t.Error(err) }, func(Gone) {})
			defer c.Wait()
			defer c.Stop()
			for _, e := range record(t, count(there)) {
				if e.Result != nil {
					e.Result = &Result{Failure: &Failure{Message: "boom"}, Parts: [][]byte{make([]byte, maxQueued)}}
				}
				c.Tell(e)
			}
			room := make(chan error, 1)
			go func() { room <- c.Room(t.Context()) }()
			synctest.Wait()
			if len(room) > 0 {
				t.Fatal("there is room")
			}
			if how == "stopped" {
				c.Stop()
			}
			close(come)
			if err := <-room; err != nil {
				t.Errorf("%s: %v", how, err)
			}
		})
	}
}

// What is to be looked at before the first action ends the program there, before a task runs.
func TestActing(t *testing.T) {
	boom := errors.New("boom")
	p := count(nil)
	defer p.Calls.Close()
	p.Body = func(sc *rdd.Context) error {
		rdd.Value(sc, func() int { return 1 })
		for range 2 {
			if _, err := rdd.Count(rdd.Parallelize(sc, []int{1})); err != nil {
				return err
			}
		}
		return nil
	}
	for _, fails := range []error{nil, boom} {
		asked := 0
		acting := func() error { asked++; return fails }
		d := NewDriver(Config{Program: p, Cluster: &recorder{}, Acting: acting, Failing: func(error) {}, StepEnded: func() {}, Log: p.Log})
		err := d.Run(t.Context())
		s := d.Summary()
		if fails == nil && (!strings.Contains(err.Error(), "boom") || s.Actions != 1) {
			t.Errorf("it ended after %d actions: %v", s.Actions, err)
		}
		if fails != nil && (!errors.Is(err, boom) || !strings.Contains(err.Error(), "first action, count at ") || s.Actions != 0) {
			t.Errorf("it ended after %d actions: %v", s.Actions, err)
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	}
}

// The summary of a program says what its tasks have left out.
func TestSummaryIsLogged(t *testing.T) {
	var out strings.Builder
	there := make(chan struct{})
	close(there)
	p := count(there)
	d := NewDriver(Config{Program: p, Cluster: &recorder{}, Failing: func(error) {}, StepEnded: func() {}, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err := d.Run(t.Context()); err == nil {
		t.Error("it didn't fail")
	}
	if want := "steps=1 actions=1 stages=1 tasks=3 failed_attempts=4 records_read=6 bad_records=5 shuffle_bytes=7"; !strings.Contains(out.String(), want) {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
