package plan

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

// goroutine returns the name of the goroutine that it runs on.
func goroutine() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// Functions run on goroutines that are kept for the next ones, unless they end them.
func TestCallsKeepGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		on := func(f func() error) (where string, err error) {
			err = c.Guard("f", func() error { where = goroutine(); return f() })
			return where, err
		}
		errBad := errors.New("bad")
		first, err := on(func() error { return errBad })
		if !errors.Is(err, errBad) {
			t.Error(err)
		}
		if first == goroutine() {
			t.Error("it runs on its caller's")
		}
		var inner string
		second, err := on(func() error {
			inner, err = on(func() error { panic("no") })
			return err
		})
		if second != first || inner == first || err == nil || !strings.Contains(err.Error(), "no") {
			t.Errorf("on %s, and within it on %s: %v; the first was on %s", second, inner, err, first)
		}
		ended, err := on(func() error { runtime.Goexit(); return nil })
		if !errors.Is(err, errGoexit) || ended != first {
			t.Errorf("on %s: %v", ended, err)
		}
		if next, err := on(func() error { return nil }); err != nil || next != inner {
			t.Errorf("on %s, %v: want %s, which is left", next, err, inner)
		}
		c.Close()
		if text := c.String(); text != "none of the program's functions" {
			t.Error(text)
		}
		if _, err := on(func() error { return errBad }); !errors.Is(err, errBad) {
			t.Errorf("after Close: %v", err)
		}
	})
}
