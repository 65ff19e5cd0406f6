package plan

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTroubles(t *testing.T) {
	var all Troubles
	expect := func(text, executor string) {
		t.Helper()
		if gotText, gotExecutor := all.Now(); gotText != text || gotExecutor != executor {
			t.Errorf("what is wrong: %q on %q, want %q on %q", gotText, gotExecutor, text, executor)
		}
	}
	expect("", "")
	all.SetOn("b", "e2", "two")
	expect("two", "e2")
	all.Set("a", "one")
	expect("one; two", "")
	all.SetOn("a", "e1", "another")
	expect("another; two", "e1")
	for _, more := range []string{"c", "d", "e", "f"} {
		all.Set(more, more)
	}
	expect("another; two; c; d; and 2 more", "e1")
	for _, about := range []string{"a", "c", "d", "e", "f", "never"} {
		all.Set(about, "")
	}
	expect("two", "e2")
	var none *Troubles
	none.Set("a", "one")
	none.After("a", 0, func(time.Duration) string { return "" })()
	if text, _ := none.Now(); text != "" {
		t.Errorf("nil says %q", text)
	}
}

// What may take too long is a trouble from when it does until it has ended, with the
// time that it has taken.
func TestTroublesOfWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Troubles
		var reason atomic.Value
		reason.Store(" for want of a broker")
		stop := all.After("plan", 5*time.Second, func(since time.Duration) string {
			if reason.Load() == "" {
				return ""
			}
			return "waits " + since.String() + reason.Load().(string)
		})
		for _, x := range []struct {
			after time.Duration
			why   string
			want  string
		}{
			{4 * time.Second, " for want of a broker", ""},
			{time.Second, " for want of a broker", "waits 5s for want of a broker"},
			{2 * time.Second, " for want of a broker", "waits 7s for want of a broker"},
			{time.Second, "", ""},
			{time.Second, " for want of a broker", "waits 9s for want of a broker"},
		} {
			reason.Store(x.why)
			time.Sleep(x.after)
			synctest.Wait()
			if got, _ := all.Now(); got != x.want {
				t.Errorf("after another %s: %q, want %q", x.after, got, x.want)
			}
		}
		stop()
		time.Sleep(time.Minute)
		if got, _ := all.Now(); got != "" {
			t.Errorf("when it is over: %q", got)
		}
		quick := all.After("plan", time.Second, func(time.Duration) string { return "never said" })
		time.Sleep(time.Second - 1)
		quick()
		time.Sleep(time.Minute)
		if got, _ := all.Now(); got != "" {
			t.Errorf("of what was quick: %q", got)
		}
	})
}
