package driver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// After a restart the newest batch times that passed are made up, and one line
// says how many there were.
func TestMissedBatchTimes(t *testing.T) {
	last := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		now           time.Time
		first, latest time.Time // of what is made up, zero for nothing
		says          string
	}{
		"none passed":               {last.Add(900 * time.Millisecond), time.Time{}, time.Time{}, ""},
		"the clock was set back":    {last.Add(-time.Hour), time.Time{}, time.Time{}, ""},
		"one, just now":             {last.Add(time.Second), last.Add(time.Second), last.Add(time.Second), "made_up=1 skipped=0"},
		"some":                      {last.Add(3500 * time.Millisecond), last.Add(time.Second), last.Add(3 * time.Second), "made_up=3 skipped=0"},
		"as many as are remembered": {last.Add(100 * time.Second), last.Add(time.Second), last.Add(100 * time.Second), "made_up=100 skipped=0"},
		"more":                      {last.Add(time.Hour), last.Add(time.Hour - 99*time.Second), last.Add(time.Hour), "made_up=100 skipped=3500"},
	} {
		var out bytes.Buffer
		g := generator{
			Driver:   &Driver{Config: Config{Program: &plan.Program{Interval: time.Second}, Log: slog.New(slog.NewTextHandler(&out, nil))}},
			previous: &plan.Allocation{TimeNanos: last.UnixNano()},
		}
		times := g.missed(c.now)
		var first, latest time.Time
		if len(times) > 0 {
			first, latest = times[0], times[len(times)-1]
		}
		if !first.Equal(c.first) || !latest.Equal(c.latest) {
			t.Errorf("%s: from %s to %s", name, first, latest)
		}
		for i := 1; i < len(times); i++ {
			if times[i].Sub(times[i-1]) != time.Second {
				t.Errorf("%s: %s follows %s", name, times[i], times[i-1])
			}
		}
		if lines := strings.Count(out.String(), "\n"); lines > 1 || (lines == 0) != (c.says == "") || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: it says %q, want %q", name, out.String(), c.says)
		}
	}
	g := generator{Driver: &Driver{Config: Config{Program: &plan.Program{Interval: time.Second}}}}
	if times := g.missed(last); times != nil {
		t.Errorf("a job that begins makes up %v", times)
	}
}

// While batches run, of the times that passed the newest gets a batch; the others
// are one line, again after 30 s, however often it happens.
func TestSkippedBatchTimes(t *testing.T) {
	var out bytes.Buffer
	s := skippedLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	next := time.Unix(1000, 0)
	for range 650 { // 65 s in which each batch takes 100 ms, at an interval of 10 ms
		now := next.Add(95 * time.Millisecond)
		at := s.newest(now, next, 10*time.Millisecond)
		if !at.Equal(next.Add(90 * time.Millisecond)) {
			t.Fatalf("at %s the newest time is %s", now, at)
		}
		next = at.Add(10 * time.Millisecond)
	}
	if at := s.newest(next.Add(-time.Hour), next, 10*time.Millisecond); !at.Equal(next) {
		t.Errorf("a clock that was set back: %s, want %s", at, next)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "count=9 ") || !strings.Contains(lines[1], "count=2700 ") {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
}
