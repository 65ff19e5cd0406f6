package receivers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/connectors/receivers"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
)

// TestMain lets the test's binary be the program that TestKilledCluster submits.
func TestMain(m *testing.M) {
	if os.Getenv(role.Env) != "" && slices.Contains(os.Args, "--feed") {
		feedProgram()
		return
	}
	goleak.VerifyTestMain(m)
}

// serving returns a Dial option by which each connection is one that serve has: it closes it
// when serve returns.
func serving(serve func(n int, to net.Conn)) receivers.Option {
	n := 0
	return receivers.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
		if n++; network != "tcp" || address != "host:9999" {
			return nil, fmt.Errorf("dialled %s %s", network, address)
		}
		if n == 2 {
			return nil, errors.New("refused")
		}
		here, there := net.Pipe()
		go func(n int) {
			defer func() { _ = there.Close() }()
			serve(n, there)
		}(n)
		return here, nil
	})
}

// send writes to a connection.
func send(to net.Conn, text string) { _, _ = to.Write([]byte(text)) }

// completed is a listener.
type completed func(engine.BatchInfo)

func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// Lines come once and in order, whatever pieces they come in; a connection that ends is made anew,
// after a pause in which the stream says that it is held up.
func TestSocketTextStream(t *testing.T) {
	var got []string
	var times []time.Duration
	held := ""
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		began := time.Now()
		lines := receivers.SocketTextStream(ssc, "host:9999", serving(func(n int, to net.Conn) {
			times = append(times, time.Since(began))
			switch n {
			case 1:
				send(to, "a\nb\r\nha")
				time.Sleep(1500 * time.Millisecond)
				send(to, "lf\n\nunended")
			case 3:
				send(to, strings.Repeat("x", 100_000)+"\n")
				_, _ = to.Read(make([]byte, 1)) // until the other end closes it
			}
		}))
		ssc.AddListener(completed(func(b engine.BatchInfo) {
			if b.Held != "" {
				held = b.Held
			}
		}))
		engine.ForEachBatch(lines, func(b engine.Batch, rows []string) error {
			got = append(got, rows...)
			if slices.Contains(rows, strings.Repeat("x", 100_000)) {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--batch-interval", "50ms")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "half", "", "unended", strings.Repeat("x", 100_000)}; !slices.Equal(got, want) {
		t.Errorf("%.200q", got)
	}
	if len(times) != 2 || times[1]-times[0] != 1800*time.Millisecond { // ended, 100 ms, refused, 200 ms
		t.Errorf("connected after %v", times)
	}
	if !strings.Contains(held, "refused") || !strings.Contains(held, "tried again after 200ms") {
		t.Errorf("held up by %q", held)
	}
}

// A line that is too long ends the connection and is told.
func TestLongLine(t *testing.T) {
	held := ""
	var got []string
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		lines := receivers.SocketTextStream(ssc, "host:9999", receivers.MaxLine(10), serving(func(_ int, to net.Conn) {
			time.Sleep(7 * time.Millisecond) // so that it doesn't begin and end when a batch is planned
			send(to, "a\nmore than ten")
		}))
		ssc.AddListener(completed(func(b engine.BatchInfo) {
			if b.Held == "" { // it is connecting again
				return
			}
			held = b.Held
			ssc.Stop()
		}))
		engine.ForEachBatch(lines, func(_ engine.Batch, rows []string) error { got = append(got, rows...); return nil })
		return nil
	})
	if err != nil || !strings.Contains(held, "receivers.MaxLine") || len(got) == 0 || got[0] != "a" {
		t.Errorf("held up by %q, got %q, %v", held, got, err)
	}
}

// What was received and not planned is read by the next run, and a batch that failed reads the
// same again; nothing is read twice. What windows reach back to stays there.
func TestRestart(t *testing.T) {
	t.Run("on a machine", func(t *testing.T) {
		dir := t.TempDir()
		restart(t, dir)
		if entries, err := os.ReadDir(filepath.Join(dir, "numbers%2Fof%20mine")); err != nil || len(entries) != 2 { // a segment and the lock
			t.Errorf("%v, %v", entries, err)
		}
	})
	t.Run("where many reach it", func(t *testing.T) {
		dir := t.TempDir()
		restart(t, "file://"+dir)
		if logs, err := os.ReadDir(filepath.Join(dir, "numbers%2Fof%20mine")); err != nil || len(logs) != 2 { // of two runs: drivers have removed their marks
			t.Errorf("%v, %v", logs, err)
		}
	})
}

// restart runs a program that fails, and again.
func restart(t *testing.T, dir string) {
	t.Helper()
	checkpoint := t.TempDir()
	broken := errors.New("the output is broken")
	var batches, windows []string
	program := func(records []string, failAt, last uint64) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			d := receivers.Stream(ssc, "numbers/of mine", func(ctx context.Context, store receivers.Store) error {
				for _, r := range records {
					time.Sleep(100 * time.Millisecond)
					if err := store(ctx, []byte(r), []byte(r+"'")); err != nil {
						return err
					}
				}
				return nil
			}, receivers.Directory(dir))
			text := engine.Map(d, func(b []byte) string { return string(b) })
			engine.ForEachBatch(text, func(b engine.Batch, rows []string) error {
				batches = append(batches, fmt.Sprint(b.Seq, rows))
				if b.Seq == failAt {
					time.Sleep(time.Second) // the rest is received meanwhile
					return broken
				}
				if b.Seq == last {
					ssc.Stop()
				}
				return nil
			})
			engine.ForEachBatch(text.Window(3*time.Second, time.Second), func(b engine.Batch, rows []string) error {
				windows = append(windows, fmt.Sprint(b.Seq, rows))
				return nil
			})
			return nil
		}
	}
	if err := enginetest.Stream(t, program([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}, 1, 0), "--checkpoint", checkpoint); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := enginetest.Stream(t, program([]string{"m"}, 0, 4), "--checkpoint", checkpoint); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(batches[1:], "")
	at := -1
	for _, r := range strings.Fields("a a' b b' c c' d d' e e' f f' g g' h h' i i' j j' k k' l l' m m'") {
		i := strings.Index(all, r)
		if strings.Count(all, r+" ")+strings.Count(all, r+"]") != 1 || i < at {
			t.Errorf("%s isn't read once and in order: %q", r, batches)
		}
		at = i
	}
	if batches[0] != batches[1] || !strings.HasPrefix(batches[0], "1[a a' b") && !strings.HasPrefix(batches[0], "1 [a a' b") {
		t.Errorf("the first batch was %q, then %q", batches[0], batches[1])
	}
	if len(windows) < 3 || !strings.Contains(windows[2], "a a' b") {
		t.Errorf("windows of %q", windows)
	}
}

// Segments go when the batches that read them are complete, and no window reaches back to them.
func TestSegmentsAreDeleted(t *testing.T) {
	record := []byte(strings.Repeat("x", 100_000))
	for _, c := range []struct {
		window      time.Duration
		least, most int
	}{{0, 1, 2}, {6 * time.Second, 3, 5}, {time.Hour, 6, 7}} {
		dir := t.TempDir()
		left := 0
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			d := receivers.Stream(ssc, "xs", func(ctx context.Context, store receivers.Store) error {
				for range 12 {
					for range 2 { // of these a segment has four
						if err := store(ctx, record); err != nil {
							return err
						}
					}
					time.Sleep(time.Second)
				}
				return nil
			}, receivers.Directory(dir), receivers.MaxBytes(1<<20*3))
			sizes := engine.Map(d, func(b []byte) int { return len(b) })
			if c.window > 0 {
				sizes = sizes.Window(c.window, time.Second)
			}
			engine.ForEachBatch(sizes, func(b engine.Batch, _ []int) error {
				if b.Seq == 13 {
					segments, err := filepath.Glob(filepath.Join(dir, "xs", "*.segment"))
					left = len(segments)
					ssc.Stop()
					return err
				}
				return nil
			})
			return nil
		})
		if err != nil || left < c.least || left > c.most {
			t.Errorf("a window of %s: %d segments are left, want from %d to %d; %v", c.window, left, c.least, c.most, err)
		}
	}
}

// A program that is given a window when it goes on keeps the segments that the window reads.
func TestWindowIsAdded(t *testing.T) {
	record := []byte(strings.Repeat("x", 100_000))
	dir, checkpoint := t.TempDir(), t.TempDir()
	for run, last := range []uint64{3, 10} {
		read, within, left := 0, 0, 0
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			d := receivers.Stream(ssc, "xs", func(ctx context.Context, store receivers.Store) error {
				for { // of these a segment has four, and a batch two
					if err := store(ctx, record, record); err != nil {
						return err
					}
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(time.Second):
					}
				}
			}, receivers.Directory(dir), receivers.MaxBytes(1<<20*3))
			sizes := engine.Map(d, func(b []byte) int { return len(b) })
			engine.ForEachBatch(sizes, func(b engine.Batch, rows []int) error {
				if read += len(rows); b.Seq == last {
					all, err := filepath.Glob(filepath.Join(dir, "xs", "*.segment"))
					left = len(all)
					ssc.Stop()
					return err
				}
				return nil
			})
			if run == 1 {
				engine.ForEachBatch(sizes.Window(time.Hour, time.Second), func(_ engine.Batch, rows []int) error {
					within = len(rows)
					return nil
				})
			}
			return nil
		}, "--checkpoint", checkpoint)
		if err != nil || run == 1 && (within < read || read < 10 || left*4 < within) {
			t.Errorf("run %d: %d records were read, %d are in the window, and of %d segments; %v", run, read, within, left, err)
		}
	}
}

// A receiver that panics is started again, one that returns nil isn't.
func TestReceivers(t *testing.T) {
	calls := 0
	var got []string
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		d := receivers.Stream(ssc, "calls", func(ctx context.Context, store receivers.Store) error {
			switch calls++; calls {
			case 1:
				panic("boom")
			case 2:
				return errors.Join(store(ctx, []byte("a")), errors.New("it broke"))
			}
			return store(ctx, []byte("b"))
		})
		engine.ForEachBatch(d, func(b engine.Batch, rows [][]byte) error {
			for _, r := range rows {
				got = append(got, string(r))
			}
			if b.Seq == 5 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--batch-interval", "200ms")
	if err != nil || calls != 3 || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%d calls, %q, %v", calls, got, err)
	}
}

// As soon as possible means when something is received.
func TestAsSoonAsPossible(t *testing.T) {
	var took time.Duration
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		d := receivers.Stream(ssc, "one", func(ctx context.Context, store receivers.Store) error {
			time.Sleep(1234 * time.Millisecond)
			return store(ctx, []byte(time.Now().Format(time.RFC3339Nano)))
		})
		engine.ForEachBatch(d, func(_ engine.Batch, rows [][]byte) error {
			for _, r := range rows {
				at, err := time.Parse(time.RFC3339Nano, string(r))
				if err != nil {
					return err
				}
				took = time.Since(at)
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--asap", "--batch-interval", "10s")
	if err != nil || took > time.Millisecond {
		t.Errorf("it took %s, %v", took, err)
	}
}

// On executor processes of this machine tasks read the driver's log.
func TestOnLocalCluster(t *testing.T) {
	var got []string
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		d := receivers.Stream(ssc, "numbers", func(ctx context.Context, store receivers.Store) error {
			for i := range 5 {
				if err := store(ctx, fmt.Append(nil, i)); err != nil {
					return err
				}
			}
			return nil
		})
		engine.ForEachBatch(d, func(_ engine.Batch, rows [][]byte) error {
			for _, r := range rows {
				got = append(got, string(r))
			}
			if len(got) == 5 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// Where several machines reach the log an executor process receives, in local-cluster too. When it
// is killed another one does, and all that was stored is read, once.
func TestReceiverIsKilled(t *testing.T) {
	const env, starts = "HIBANA_TEST_RECEIVED", 3
	if os.Getenv(role.Env) == "" {
		t.Setenv(env, t.TempDir())
	}
	dir := os.Getenv(env)
	note := func(line string) error { // in a file, of whichever process
		f, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString(line + "\n")
		return errors.Join(err, f.Close())
	}
	var got []string
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		d := receivers.Stream(ssc, "numbers", func(ctx context.Context, store receivers.Store) error {
			if os.Getenv(role.Env) == "" {
				return errors.New("the driver receives")
			}
			if err := note(fmt.Sprint("start ", os.Getpid())); err != nil {
				return err
			}
			b, err := os.ReadFile(filepath.Join(dir, "notes"))
			if err != nil {
				return err
			}
			nth := strings.Count(string(b), "start ")
			for i := range 20 {
				record := fmt.Sprintf("%d-%02d", nth, i)
				if err := store(ctx, []byte(record)); err != nil {
					return err
				}
				if err := note(record); err != nil {
					return err
				}
				time.Sleep(5 * time.Millisecond)
			}
			if nth == starts {
				return nil
			}
			if err := store(ctx, []byte("last words")); err != nil {
				return err
			}
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // what was told may not have been sent
			select {}
		}, receivers.Directory("file://"+filepath.Join(dir, "received")))
		text := engine.Map(d, func(b []byte) string { return string(b) })
		engine.ForEachBatch(text, func(_ engine.Batch, rows []string) error {
			if got = append(got, rows...); len(got) >= starts*20+starts-1 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "notes"))
	if err != nil {
		t.Fatal(err)
	}
	var stored, pids []string
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if pid, is := strings.CutPrefix(line, "start "); is {
			pids = append(pids, pid)
		} else {
			stored = append(stored, line)
		}
	}
	slices.Sort(pids)
	if len(slices.Compact(pids)) != starts {
		t.Errorf("it was received in the processes %v", pids)
	}
	stored = append(stored, "last words", "last words")
	slices.Sort(stored)
	slices.Sort(got)
	if !slices.Equal(got, stored) {
		t.Errorf("read     %q\nstored %q", got, stored)
	}
}

// What can't be meant fails the program before it begins.
func TestErrors(t *testing.T) {
	nothing := func(context.Context, receivers.Store) error { return nil }
	checkpoint := []string{"--checkpoint", filepath.Join(t.TempDir(), "c")}
	for name, c := range map[string]struct {
		args []string
		opts []receivers.Option
		says string
	}{
		"no directory":         {checkpoint, nil, "receivers.Directory"},
		"a relative directory": {checkpoint, []receivers.Option{receivers.Directory("here")}, "absolute path"},
		"no bytes":             {nil, []receivers.Option{receivers.MaxBytes(1)}, "receivers.MaxBytes(1)"},
		"no line":              {nil, []receivers.Option{receivers.MaxLine(0)}, "receivers.MaxLine(0)"},
		"no dial":              {nil, []receivers.Option{receivers.Dial(nil)}, "receivers.Dial"},
		"no option":            {nil, []receivers.Option{nil}, "an option is nil"},
		"no end":               {[]string{"--until-end"}, nil, engine.ErrEndless.Error()},
	} {
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			receivers.Stream(ssc, "one", nothing, c.opts...).Print(1)
			return nil
		}, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "receivers/stream_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		receivers.Stream(ssc, "one", nil).Print(1)
		return nil
	}); err == nil || !strings.Contains(err.Error(), "the function is nil") {
		t.Error(err)
	}
	for says, names := range map[string][]string{"the name can't be": {".."}, "below receivers.Directory": {""}, "another stream of the program": {"one", "two", "one"}} {
		dir := t.TempDir()
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			for _, name := range names {
				receivers.Stream(ssc, name, nothing, receivers.Directory(dir)).Print(1)
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "receivers/stream_test.go:") {
			t.Errorf("streams of the names %q: %v", names, err)
		}
	}
}

// An address at which nothing can be is refused, with what to write.
func TestAddressWithoutAPort(t *testing.T) {
	for _, address := range []string{"", "localhost", "localhost:", ":9999", "localhost:0", "localhost:70000", "localhost:words", "::1:9999"} {
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			receivers.SocketTextStream(ssc, address).Print(1)
			return nil
		})
		if !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), fmt.Sprintf("%q is not HOST:PORT, with a port from 1 to 65535, e.g. localhost:9999", address)) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
