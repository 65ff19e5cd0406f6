package rdd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

func shell(script string) []string { return []string{"sh", "-c", script} }

func TestPipe(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []string{"b", "a"}, nil, []string{"c"})
	for name, c := range map[string]struct {
		command []string
		want    string
	}{
		"cat":                       {[]string{"cat"}, "[[b a] [] [c]]"},
		"sort":                      {[]string{"sort"}, "[[a b] [] [c]]"},
		"a process for none, too":   {[]string{"wc", "-l"}, "[[2] [0] [1]]"},
		"arguments are as they are": {[]string{"printf", "%s|", "a b", "$HOME", "*"}, "[[a b|$HOME|*|] [a b|$HOME|*|] [a b|$HOME|*|]]"},
		"the first lines only":      {[]string{"head", "-n", "1"}, "[[b] [] [c]]"},
		"no output":                 {shell("cat >/dev/null"), "[[] [] []]"},
		"output is closed first":    {shell("exec >&-; cat >/dev/null"), "[[] [] []]"},
		"no newline at the end":     {shell("printf 'x\r\n\ny'"), "[[x  y] [x  y] [x  y]]"},
		"a complaint isn't output":  {shell("echo oh >&2; cat"), "[[b a] [] [c]]"},
	} {
		got, err := rddtest.Glom(rdd.Pipe(in, c.command))
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %q, want %s; %v", name, got, c.want, err)
		}
	}
	check(t, rdd.Pipe(sourceOf[string](sc), []string{"false"}), [][]string{})
}

// A process may write long before it has read everything, and read long before it writes.
func TestPipeOfMuch(t *testing.T) {
	sc := rddtest.NewContext(1)
	const n = 100_000 // many times what a pipe holds
	in := rdd.Map(rdd.Range(sc, 0, n, 1), func(i int) string { return "line " + strconv.Itoa(i) })
	for name, command := range map[string][]string{
		"written at once":   {"cat"},
		"written at last":   shell(`all=$(cat); printf '%s\n' "$all"`),
		"and not read more": shell("head -n 5 >/dev/null; seq 0 99999 | sed 's/^/line /'"),
	} {
		got := flat(t, rdd.Pipe(in, command))
		if len(got) != n {
			t.Errorf("%s: %d lines", name, len(got))
			continue
		}
		for i, line := range got {
			if line != "line "+strconv.Itoa(i) {
				t.Errorf("%s: line %d is %q", name, i, line)
				break
			}
		}
	}
	if got := flat(t, rdd.Pipe(in, []string{"head", "-n", "2"})); fmt.Sprint(got) != "[line 0 line 1]" {
		t.Error(got)
	}
	long := strings.Repeat("x", 1<<20)
	if got := flat(t, rdd.Pipe(sourceOf(sc, []string{long, "y"}), []string{"cat"})); len(got) != 2 || got[0] != long {
		t.Errorf("a line of %d bytes came back as %d lines", len(long), len(got))
	}
}

func TestErrorsOfPipe(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []string{"a", "b"})
	for name, c := range map[string]struct {
		r    *rdd.RDD[string]
		want []string
		is   error
	}{
		"a status":   {rdd.Pipe(in, shell("cat; echo it is broken >&2; exit 3")), []string{`the command ["sh" "-c"`, "exit status 3", `its standard error ends with "it is broken\n"`}, nil},
		"silence":    {rdd.Pipe(in, []string{"false"}), []string{"exit status 1; it wrote nothing to its standard error"}, nil},
		"a signal":   {rdd.Pipe(in, shell("kill -9 $$")), []string{"signal: killed"}, nil},
		"much noise": {rdd.Pipe(in, shell("seq 100000 >&2; exit 1")), []string{`99999\n100000\n"`}, nil},
		"no program": {rdd.Pipe(in, []string{"no-such-program"}), []string{`starting the command ["no-such-program"]`}, exec.ErrNotFound},
	} {
		_, err := rddtest.Glom(c.r)
		of, ok := errors.AsType[*rdd.OpError](err)
		if !ok || of.Op != "pipe" || !strings.HasPrefix(of.Site.String(), "rdd/pipe_test.go:") || c.is != nil && !errors.Is(err, c.is) || len(err.Error()) > 6000 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	checkRefused(t, "no command", "pipe", func(sc *rdd.Context) { rdd.Pipe(sourceOf[string](sc), nil) }, rdd.ErrArgument)
	checkRefused(t, "no name", "pipe", func(sc *rdd.Context) { rdd.Pipe(sourceOf[string](sc), []string{""}) }, rdd.ErrArgument)
}

// Whatever ends a task ends its process: a fault of the input, a panic, a reader that has
// enough, and a kill.
func TestPipeEndsWithItsTask(t *testing.T) {
	sc := rddtest.NewContext(1)
	killed := errors.New("killed")
	// It says that it has begun and then doesn't end.
	const endless = "echo begun; cat; exec sleep 1000"
	for name, c := range map[string]struct {
		in  *rdd.RDD[string]
		end func(line string) (more bool)
		is  error
		by  string // script that runs before
	}{
		"a fault of the input":     {in: rdd.Map(brokenAfter(sc, 20_000), strconv.Itoa), is: errDisk},
		"a panic of the input":     {in: rdd.Map(ints(sc, 1, 1), func(int) string { panic(errDisk) }), is: errDisk},
		"a panic of the output":    {in: sourceOf(sc, []string{}), end: func(string) bool { panic(errDisk) }, is: errDisk},
		"a reader that has enough": {in: sourceOf(sc, []string{}), end: func(string) bool { return false }},
		"a kill":                   {in: sourceOf(sc, []string{})},
		// A process that it has started holds its output open.
		"a kill of a parent": {in: sourceOf(sc, []string{}), by: "sleep 30 & "},
	} {
		ctx, kill := context.WithCancelCause(t.Context())
		pidFile := filepath.Join(t.TempDir(), "pid")
		r := rdd.Pipe(c.in, []string{"sh", "-c", "echo $$ >$0; " + c.by + endless, pidFile})
		tc := rddtest.NewReference().Task(r.Node(), 0)
		tc.Context = ctx
		err := guarded(r, tc, func(line string) bool {
			if c.end != nil {
				return c.end(line)
			}
			if c.is == nil {
				kill(killed)
			}
			return true
		})
		want := c.is
		if c.end == nil && c.is == nil {
			want = killed
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		b, err := os.ReadFile(pidFile)
		pid, notYet := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || notYet != nil {
			if c.end == nil && c.is == errDisk {
				continue // it ended before it was begun
			}
			t.Fatalf("%s: %v, %v", name, err, notYet)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: the process still runs: %v", name, err)
		}
	}
}

// guarded reads a partition as a task does.
func guarded(r *rdd.RDD[string], tc *task.Context, take func(string) bool) error {
	return lineage.Guard(r.Node(), func() error {
		for line, err := range r.Compute(tc, 0) {
			if err != nil {
				return err
			}
			if !take(line) {
				return nil
			}
		}
		return nil
	})
}
