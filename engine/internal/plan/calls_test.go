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

// While they are called inline functions run on their callers' goroutines. A panic is an error all
// the same, and one that ends the goroutine is told of.
func TestCallsInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		defer c.Close()
		var exited error
		end := c.Inline(func(err error) { exited = err })
		where := ""
		if err := c.Guard("f", func() error { where = goroutine(); return nil }); err != nil || where != goroutine() {
			t.Errorf("on %s, %v: want %s", where, err, goroutine())
		}
		if err := c.Guard("f", func() error { panic("no") }); err == nil || !strings.Contains(err.Error(), "no") || exited != nil {
			t.Errorf("%v, and %v was told", err, exited)
		}
		returned := false
		go func() {
			_ = c.Guard("PerBatch", func() error { runtime.Goexit(); return nil })
			returned = true
		}()
		synctest.Wait()
		if returned || !errors.Is(exited, errGoexit) || !strings.HasPrefix(exited.Error(), "PerBatch: ") {
			t.Errorf("it returned: %v, and %v was told", returned, exited)
		}
		exited = nil
		if err := c.Apart("f", func() error { runtime.Goexit(); return nil }); !errors.Is(err, errGoexit) || exited != nil {
			t.Errorf("apart: %v, and %v was told", err, exited)
		}
		if text := c.String(); text != "none of the program's functions" {
			t.Error(text)
		}
		end()
		if _ = c.Guard("f", func() error { where = goroutine(); return nil }); where == goroutine() {
			t.Error("afterwards they run on their callers' goroutines")
		}
	})
}
