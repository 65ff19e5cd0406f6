package receivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
)

// onExecutor is a receiver that runs as an executor runs it, and what it tells a planner.
type onExecutor struct {
	*sharedPlanner
	end func() // ends it and waits
}

// receivingShared has a function receive for a planner of a directory.
func receivingShared(t *testing.T, dir string, receive Receiver) onExecutor {
	t.Helper()
	s := sharedSource(t, dir, receive)
	p, err := openShared(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return onExecutor{p, begin(t, s, p)}
}

// begin begins another start of a receiver for a planner.
func begin(t *testing.T, s source, p *sharedPlanner) (end func()) {
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { receiveShared(ctx, s, teller{p.Told}) })
	return func() {
		stop()
		work.Wait()
	}
}

// held returns what the planner says that holds the stream up.
func (x onExecutor) held(t *testing.T) string {
	t.Helper()
	plan, err := x.Plan(t.Context(), engine.PlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Held
}

func (x onExecutor) close(t *testing.T) {
	t.Helper()
	x.end()
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

// The planner hears what holds a receiver up, that nobody receives, and that somebody does again.
func TestHeldOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		x := receivingShared(t, t.TempDir(), func(ctx context.Context, _ Store) error {
			if calls.Add(1) > 2 {
				<-ctx.Done()
				return ctx.Err()
			}
			return errors.New("it broke")
		})
		for i, want := range []string{"it broke; it is tried again after 100ms", "it broke; it is tried again after 200ms"} {
			synctest.Wait()
			if held := x.held(t); !strings.Contains(held, want) {
				t.Errorf("%d: held up by %q, want %q", i, held, want)
			}
			time.Sleep([]time.Duration{100, 200}[i] * time.Millisecond)
		}
		x.Lost("executor e1 is lost")
		if held := x.held(t); held != "nothing is received: executor e1 is lost" {
			t.Errorf("held up by %q", held)
		}
		again := begin(t, x.source, x.sharedPlanner)
		synctest.Wait()
		if held := x.held(t); held != "" {
			t.Errorf("held up by %q", held)
		}
		again()
		x.close(t)
	})
}

// A receiver that finds its log full waits until the driver has removed what was processed, and
// the stream says so. What others have left counts.
func TestFullOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		before := newDriver(t, dir)
		for range 5 {
			before.store(strings.Repeat("x", 100_000))
		}
		before.close()
		var stored atomic.Int32
		x := receivingShared(t, dir, func(ctx context.Context, store Store) error {
			for {
				if err := store(ctx, make([]byte, 100_000)); err != nil {
					return err
				}
				stored.Add(1)
			}
		})
		time.Sleep(time.Second)
		plan, err := x.Plan(t.Context(), engine.PlanRequest{})
		if err != nil || stored.Load() != 5 || plan.Records != 10 || !strings.Contains(plan.Held, "receivers.MaxBytes(1048576)") {
			t.Fatalf("%d are stored, a batch has %d records, held up by %q; %v", stored.Load(), plan.Records, plan.Held, err)
		}
		if err := x.Completed(t.Context(), plan.Ranges); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the next one notes that it's recorded
			if plan, err = x.Plan(t.Context(), engine.PlanRequest{Previous: plan.Ranges}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * roomEvery)
		synctest.Wait()
		if n := stored.Load(); n != 15 {
			t.Errorf("%d are stored", n)
		}
		if plan, err = x.Plan(t.Context(), engine.PlanRequest{Previous: plan.Ranges}); err != nil || plan.Records != 10 {
			t.Errorf("a batch has %d records; %v", plan.Records, err)
		}
		x.close(t)
	})
}

// What the driver has removed is forgotten by the receiver, though its log was never full.
func TestFilesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, t.TempDir())
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { d.own.makeRoom(ctx, &notes{teller: teller{d.Told}}) })
		d.Told(encoded(t, message{Log: d.own.name}))
		var ranges []byte
		for i := range 30 { // a file for each batch
			d.store(fmt.Sprint(i))
			var read string
			if ranges, read, _ = d.batch(ranges, nil, 0); read != fmt.Sprint(i) {
				t.Errorf("batch %d reads %q", i, read)
			}
			if err := d.Completed(t.Context(), ranges); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := len(d.own.Files()); n > 13 { // of ten seconds, and two that aren't removed yet
			t.Errorf("the receiver still knows %d files", n)
		}
		stop()
		work.Wait()
		d.close()
	})
}

// A file of which the driver wasn't told, since writing it seemed to fail, takes no room for ever,
// nor does what was written behind it.
func TestFileNobodyToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDriver(t, dir)
		d.Told(encoded(t, message{Log: d.own.name}))
		log := filepath.Join(dir, d.own.name)
		if err := errors.Join(os.Remove(log), os.WriteFile(log, nil, 0o600)); err != nil { // where a directory should be
			t.Fatal(err)
		}
		if err := d.own.Append(t.Context(), []byte("x")); err == nil {
			t.Error("it could be written")
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", 100_000)
		for range 10 {
			d.store(text)
		}
		file, err := os.ReadFile(filepath.Join(log, fmt.Sprintf("%019d-1.records", 1)))
		if err == nil {
			err = os.WriteFile(filepath.Join(log, fmt.Sprintf("%019d-1.records", 0)), file, 0o600) // it came late
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { d.own.makeRoom(ctx, &notes{teller: teller{d.Told}}) })
		work.Go(func() {
			if err := d.own.Append(ctx, []byte(text)); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		ranges, held := d.completed(nil)
		if held == "" || stored(t, dir) != 11 {
			t.Errorf("%d files are there, held up by %q", stored(t, dir), held)
		}
		for range 20 { // what is processed is removed, and what is stored then, too
			time.Sleep(time.Second)
			ranges, held = d.completed(ranges)
		}
		if held != "" || stored(t, dir) != 0 {
			t.Errorf("%d files are left, held up by %q", stored(t, dir), held)
		}
		stop()
		work.Wait()
		if n := len(d.own.Files()); n > 1 {
			t.Errorf("the receiver knows %d files", n)
		}
		d.close()
	})
}

// completed plans a batch and completes it, and returns its ranges and what holds the stream up.
func (d driver) completed(previous []byte) (ranges []byte, held string) {
	d.t.Helper()
	plan, err := d.Plan(d.t.Context(), engine.PlanRequest{Previous: previous})
	if err == nil {
		err = d.Completed(d.t.Context(), plan.Ranges)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return plan.Ranges, plan.Held
}

// The log is said to be full if there is no room although it was looked for some, and only as long
// as somebody waits.
func TestFullIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDriver(t, dir)
		d.store(slices.Repeat([]string{strings.Repeat("x", 100_000)}, 10)...)
		var told []string
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			d.own.makeRoom(ctx, &notes{teller: teller{func(b []byte) {
				m, err := decodeMessage(b)
				if err != nil {
					t.Error(err)
				}
				told = append(told, m.Held)
			}}})
		})
		wait := func(most time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			return d.own.Append(ctx, make([]byte, 100_000))
		}
		if err := wait(3 * time.Second); !errors.Is(err, context.DeadlineExceeded) { // it gives up
			t.Error(err)
		}
		time.Sleep(2 * roomEvery)
		synctest.Wait()
		if full := fullLog(d.source); !slices.Equal(told, []string{full, ""}) {
			t.Errorf("told %q", told)
		}
		told = nil
		if err := os.Remove(filepath.Join(dir, d.own.name, fmt.Sprintf("%019d-1.records", 0))); err != nil {
			t.Fatal(err)
		}
		err := wait(firstPause + 1)
		if synctest.Wait(); err != nil || len(told) > 0 { // there is room, when somebody looks
			t.Errorf("told %q, %v", told, err)
		}
		stop()
		work.Wait()
		d.close()
	})
}

// Where the directory isn't, e.g. since it isn't mounted on that machine, nothing is stored where
// nobody sees it.
func TestDirectoryNotOnExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "received")
		var called atomic.Int32
		receive := func(ctx context.Context, store Store) error {
			called.Add(1)
			return store(ctx, []byte("a"))
		}
		s := sharedSource(t, dir, receive)
		told := make(chan string, 10)
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			receiveShared(ctx, s, teller{func(b []byte) {
				m, err := decodeMessage(b)
				if err != nil {
					t.Error(err)
				}
				if m.Log != "" {
					m.Held = fmt.Sprintf("%d records", m.file().Records)
				}
				told <- m.Held
			}})
		})
		if held := <-told; called.Load() > 0 || !strings.Contains(held, dir+" isn't there") || !strings.Contains(held, "tried again after 100ms") {
			t.Errorf("called %d times, told %q", called.Load(), held)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		work.Wait() // it returns when nothing more comes
		stop()
		close(told)
		var all []string
		for m := range told {
			all = append(all, m)
		}
		if called.Load() != 1 || !slices.Equal(all, []string{"0 records", "1 records"}) {
			t.Errorf("called %d times, told %q", called.Load(), all)
		}
	})
}

// The end waits for a receiver, but not without end: what it stores then is an error.
func TestEndOfOneThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn, stored := make(chan struct{}), make(chan error, 1)
		x := receivingShared(t, t.TempDir(), goingOn(goOn, stored))
		synctest.Wait()
		began := time.Now()
		x.close(t)
		if took := time.Since(began); took != sharedPatience {
			t.Errorf("it took %s", took)
		}
		close(goOn)
		if err := <-stored; !errors.Is(err, segments.ErrClosed) {
			t.Errorf("stored after the end: %v", err)
		}
	})
}
