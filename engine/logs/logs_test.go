package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// write writes a line of 10 bytes for each number.
func write(t *testing.T, l *Log, from, until int) {
	t.Helper()
	for i := from; i < until; i++ {
		if n, err := fmt.Fprintf(l, "line %04d\n", i); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
}

// lines returns what write wrote.
func lines(from, until int) string {
	var b strings.Builder
	for i := from; i < until; i++ {
		fmt.Fprintf(&b, "line %04d\n", i)
	}
	return b.String()
}

// readAll reads to the end of what there is.
func readAll(t *testing.T, r *reader) (string, <-chan struct{}) {
	t.Helper()
	var b bytes.Buffer
	buf := make([]byte, 7)
	for {
		n, wait, err := r.read(buf)
		b.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if wait != nil {
			return b.String(), wait
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "log")
	small := limits{fileSize: 100, files: 3}
	for range 2 { // opened again it goes on
		l, err := open(path, small)
		if err != nil {
			t.Fatal(err)
		}
		write(t, l, 0, 95)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("closing it again: %v", err)
		}
		if _, err := l.Write([]byte("late")); err == nil {
			t.Error("a closed log takes writes")
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != small.files {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() > small.fileSize {
			t.Errorf("%s: %v bytes, %v", f.Name(), info.Size(), err)
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := open(path, limits{fileSize: 100, files: 3})
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, 0, 45) // files of 10, 10 and 5 lines are left, from line 20 on
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for tail, want := range map[int64]string{
		0: lines(20, 45), 1: "\n", 10: lines(44, 45), 50: lines(40, 45), 60: lines(39, 45),
		150: lines(30, 45), 155: "0029\n"[:5] + lines(30, 45), 250: lines(20, 45), 9999: lines(20, 45),
	} {
		r, err := newReader(l, tail)
		if err != nil {
			t.Fatal(err)
		}
		if got, wait := readAll(t, r); got != want || wait != nil {
			t.Errorf("the last %d bytes are %q, want %q", tail, got, want)
		}
		r.close()
	}
}

// A reader loses nothing of a log that rotates under it, until it is further
// behind than there are files.
func TestReaderAcrossRotation(t *testing.T) {
	l, err := open(filepath.Join(t.TempDir(), "log"), limits{fileSize: 100, files: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	write(t, l, 0, 5)
	r, err := newReader(l, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	at := 0
	for _, until := range []int{5, 7, 10, 11, 30, 35, 60} {
		if until > 5 {
			write(t, l, max(at, 5), until)
		}
		got, wait := readAll(t, r)
		if got != lines(at, until) || wait == nil {
			t.Fatalf("from line %d until %d: %q", at, until, got)
		}
		at = until
	}
	write(t, l, 60, 105) // the files now begin with lines 80, 90 and 100
	if got, _ := readAll(t, r); got != lines(80, 105) {
		t.Errorf("far behind: %q", got)
	}
}

// What can't be written is counted and told.
func TestLostOutputIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	path := filepath.Join(dir, "log")
	l, err := open(path, limits{fileSize: 20, files: 2})
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, 0, 2)
	if err := os.Rename(dir, dir+"-away"); err != nil { // from now on no file can be opened
		t.Fatal(err)
	}
	write(t, l, 2, 5)
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	write(t, l, 5, 6)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), "[30 bytes of output are missing here: ") || !strings.HasSuffix(string(b), lines(5, 6)) {
		t.Errorf("%q, %v", b, err)
	}
}

// stream takes what a server sends.
type stream struct {
	grpc.ServerStream
	ctx context.Context
	got bytes.Buffer
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) Send(c *wire.Chunk) error { s.got.Write(c.Data); return nil }

func TestServer(t *testing.T) {
	dir := t.TempDir()
	s := NewServer(func(inc uint64) string { return filepath.Join(dir, fmt.Sprint(inc), "log") })
	ask := func(req wire.LogsRequest) (string, error) {
		to := &stream{ctx: t.Context()}
		err := s.Logs(&req, to)
		return to.got.String(), err
	}
	if _, err := ask(wire.LogsRequest{Incarnation: 7}); !errors.Is(err, wire.ErrNoJob) {
		t.Errorf("a job that never was here: %v", err)
	}
	l, err := s.Open(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(7); err == nil {
		t.Error("a log was opened twice")
	}
	write(t, l, 0, 3)
	if _, err := ask(wire.LogsRequest{Incarnation: 7, Tail: -1}); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("a negative tail: %v", err)
	}
	check := func(when string) {
		if got, err := ask(wire.LogsRequest{Incarnation: 7}); got != lines(0, 3) || err != nil {
			t.Errorf("%s: %q, %v", when, got, err)
		}
		if got, err := ask(wire.LogsRequest{Incarnation: 7, Tail: 10}); got != lines(2, 3) || err != nil {
			t.Errorf("%s, its tail: %q, %v", when, got, err)
		}
	}
	check("open")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed")
	if got, err := ask(wire.LogsRequest{Incarnation: 7, Follow: true}); got != lines(0, 3) || err != nil {
		t.Errorf("following a job that has ended: %q, %v", got, err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(func(uint64) string { return filepath.Join(t.TempDir(), "log") })
		l, err := s.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		write(t, l, 0, 5)
		ctx, cancel := context.WithCancel(t.Context())
		whole, cut := &stream{ctx: t.Context()}, &stream{ctx: ctx}
		ended := make(chan error, 2)
		go func() { ended <- s.Logs(&wire.LogsRequest{Incarnation: 1, Tail: 10, Follow: true}, whole) }()
		go func() {
			err := s.Logs(&wire.LogsRequest{Incarnation: 1, Follow: true}, cut)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that left: %v", err)
			}
			ended <- nil
		}()
		synctest.Wait()
		write(t, l, 5, 9)
		synctest.Wait()
		cancel()
		synctest.Wait()
		write(t, l, 9, 12)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if got := whole.got.String(); got != lines(4, 12) {
			t.Errorf("followed %q", got)
		}
		if got := cut.got.String(); got != lines(0, 9) {
			t.Errorf("followed %q", got)
		}
	})
}
