package files

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
)

// planning returns a planner of a directory.
func planning(t *testing.T, dir string, opts ...Option) *planner {
	t.Helper()
	at, err := files.Parse(dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := optionsOf(opts)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPlanner(t.Context(), &directory{at: at, options: o, records: estimated, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.(*planner)
}

// planned returns the names of the files of a plan, and its ranges.
func planned(t *testing.T, p *planner, previous []byte) (names []string, ranges []byte) {
	t.Helper()
	share, err := p.Plan(context.Background(), engine.PlanRequest{Previous: previous})
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeRanges(share.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.files {
		names = append(names, f.name)
	}
	return names, share.Ranges
}

// What counts is the batch that was logged, not the plan: where that one wasn't, or another
// driver's was, the files are planned again, and only those.
func TestPlansFollowTheLog(t *testing.T) {
	dir := t.TempDir()
	add := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		p := planning(t, dir)
		step := func(p *planner, previous []byte, want ...string) []byte {
			t.Helper()
			time.Sleep(time.Second)
			got, ranges := planned(t, p, previous)
			if !slices.Equal(got, want) {
				t.Errorf("planned %q, want %q", got, want)
			}
			return ranges
		}
		add("a")
		none := step(p, nil)
		one := step(p, none, "a")
		step(p, none) // one wasn't logged: the planner looks anew
		again := step(p, p.last, "a")
		if !slices.Equal(one, again) {
			t.Error("the same files are written in another way")
		}
		add("b")
		other := planning(t, dir) // another driver, which goes on
		idle := step(other, one)
		two := step(other, idle, "b")
		add("c")
		step(p, two) // the first one is back
		step(p, p.last, "c")
	})
}

// A link that leads nowhere hides no file, in the directory or below it; the log says once that
// it is passed over.
func TestLinksThatLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "below"), 0o700), os.Symlink("nowhere", filepath.Join(dir, "link")), os.Symlink("nowhere", filepath.Join(dir, "below/link")),
		os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600), os.WriteFile(filepath.Join(dir, "below/b"), []byte("b"), 0o600)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p := planning(t, dir, Recursive())
		var said strings.Builder
		p.log, p.nowhere = slog.New(slog.NewTextHandler(&said, nil)), nil
		_, none := planned(t, p, nil)
		time.Sleep(time.Second)
		got, ranges := planned(t, p, none)
		if slices.Sort(got); !slices.Equal(got, []string{"a", "below/b"}) || p.held != "" {
			t.Errorf("planned %q, held up by %q", got, p.held)
		}
		if strings.Count(said.String(), "lead nowhere") != 1 || !strings.Contains(said.String(), "links=2") {
			t.Errorf("the log says %s", said.String())
		}
		if err := os.WriteFile(filepath.Join(dir, "nowhere"), []byte("c"), 0o600); err != nil { // the first leads somewhere now
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, ranges = planned(t, p, ranges)
		time.Sleep(time.Second)
		if got, _ = planned(t, p, ranges); !slices.Contains(got, "link") {
			t.Errorf("planned %q, want the link among them", got)
		}
	})
}

// A file that waits while others are forgotten isn't, whatever the looks after a restart see.
func TestAwaitedFilesAreNotForgotten(t *testing.T) {
	for name, unmount := range map[string]func(dir string) error{
		"the look fails":     func(string) error { return nil },
		"it finds no file":   func(dir string) error { return os.Mkdir(dir, 0o700) },
		"there is a new one": nil,
	} {
		dir := filepath.Join(t.TempDir(), "d")
		put := func(name, text string, modified int64) {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, time.Time{}, time.Unix(modified, 0))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range int64(5) {
			put(string(rune('a'+i)), "x", 100+i)
		}
		synctest.Test(t, func(t *testing.T) {
			p := planning(t, dir, Remember(2))
			put("old", "x", 50)
			_, ranges := planned(t, p, nil)
			time.Sleep(time.Second)
			put("old", "xx", 50) // it is still written
			names, ranges := planned(t, p, ranges)
			if len(names) != 5 || slices.Contains(names, "old") {
				t.Fatalf("planned %q", names)
			}
			if unmount != nil {
				if err := errors.Join(os.Rename(dir, dir+"-away"), unmount(dir)); err != nil {
					t.Fatal(err)
				}
			}
			p = planning(t, dir, Remember(2)) // another driver, which goes on
			for range 2 {
				time.Sleep(time.Second)
				if unmount != nil {
					_, ranges = planned(t, p, ranges)
				}
			}
			if unmount != nil {
				if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+"-away", dir)); err != nil {
					t.Fatal(err)
				}
			} else {
				put("new", "x", 200)
			}
			var got []string
			for range 2 {
				time.Sleep(time.Second)
				names, ranges = planned(t, p, ranges)
				got = append(got, names...)
			}
			if !slices.Contains(got, "old") {
				t.Errorf("%s: planned %q, want the file that waited", name, got)
			}
		})
	}
}

// A plan waits for a look beside it no longer than its context lasts.
func TestPlanDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := planning(t, t.TempDir())
		if err := p.begin(t.Context()); err != nil { // as if there were one
			t.Fatal(err)
		}
		broken := errors.New("it ends")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, broken)
		defer cancel()
		if _, err := p.Plan(ctx, engine.PlanRequest{}); !errors.Is(err, broken) {
			t.Error(err)
		}
		p.end()
		if names, _ := planned(t, p, nil); len(names) != 0 {
			t.Errorf("%q are planned", names)
		}
	})
}

// Between looks nothing is done, and plans are alike.
func TestIdlePlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := planning(t, dir, Every(10*time.Second))
		_, first := planned(t, p, nil)
		for range 80 {
			time.Sleep(100 * time.Millisecond)
			if _, next := planned(t, p, first); &next[0] != &first[0] {
				t.Fatal("an idle plan is made anew")
			}
		}
		if looked := time.Since(p.looked); looked != 8*time.Second {
			t.Errorf("it looked %s ago", looked)
		}
	})
}

// More files of one time than can be told apart by name are an error where the stream would
// never go on, else it is held up and says what to do.
func TestTooManyOfOneTime(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, time.Time{}, time.Unix(9, 0))); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		untilEnd bool
		opts     []Option
		plans    int    // that go well
		held     string // the last of them
		says     string // the error of the one behind them
	}{
		"held up":   {false, []Option{Remember(1), MaxFiles(5)}, 4, "files.Remember(1)", ""},
		"until end": {true, []Option{Remember(1), MaxFiles(5)}, 0, "", "files.Remember(1)"},
		"new only":  {false, []Option{Remember(1), NewOnly()}, 0, "", "files.Remember(6)"},
		"enough":    {true, []Option{Remember(2), MaxFiles(5)}, 2, "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := planning(t, dir, c.opts...)
			p.untilEnd = c.untilEnd
			var share engine.Plan
			for range c.plans {
				var err error
				if share, err = p.Plan(t.Context(), engine.PlanRequest{Previous: p.last}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				time.Sleep(time.Second)
			}
			if !strings.Contains(share.Held, c.held) || (share.Held == "") != (c.held == "") {
				t.Errorf("%s: held up by %q", name, share.Held)
			}
			if c.says == "" {
				return
			}
			if _, err := p.Plan(t.Context(), engine.PlanRequest{Previous: p.last}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// What is left out of a file is told with its name.
func TestSkippedFilesAreTold(t *testing.T) {
	var said strings.Builder
	d := &directory{op: "files.TextFileStream(in)", log: slog.New(slog.NewTextHandler(&said, nil))}
	if err := d.skipped(rdd.Part{Batch: 7}, files.File{Path: "/in/a.gz"}, errors.New("the file is damaged")); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"level=WARN", "batch=7", "file=/in/a.gz", `error="the file is damaged"`} {
		if !strings.Contains(said.String(), part) {
			t.Errorf("%q lacks %s", said.String(), part)
		}
	}
}
