package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// What hasn't begun counts in the time that is left: with what is known of it, or as what is
// most like it.
func TestProgressLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &progress{}
		p.plan("count", "Hibana", 0, 2)
		p.plan("count", "Spark", 0, 2)
		p.plan("wordcount", "Hibana", 0, 2)
		p.plan("wordcount", "Spark", 0, 2)
		p.plan("copy", "Hibana", 30*time.Second, 2)
		p.begin()
		ends := func(work, system string, after, left time.Duration) {
			t.Helper()
			time.Sleep(after)
			p.done(work, system, "")
			if got := p.left(); got != left {
				t.Errorf("after %s on %s: %s left, want %s", work, system, got, left)
			}
		}
		ends("count", "Hibana", 4*time.Second, (4+2*4+2*4+2*4+60)*time.Second)
		ends("count", "Spark", 10*time.Second, (4+10+2*4+2*10+60)*time.Second)
		ends("copy", "Hibana", 33*time.Second, (4+10+2*4+2*10+33)*time.Second)
		p.noMore("count", "Spark")
		p.noMore("wordcount", "Spark")
		if got := p.left(); got != (4+2*4+33)*time.Second || p.runs() != 7 {
			t.Errorf("without Spark %s left of %d runs", got, p.runs())
		}
	})
}

// Where only such runs ended as take long for a reason, others take as long as far as is known.
func TestProgressUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &progress{}
		p.plan("copy", "Hibana", 30*time.Second, 1)
		p.plan("count", "Hibana", 0, 2)
		p.begin()
		time.Sleep(32 * time.Second)
		if p.done("copy", "Hibana", ""); p.left() != 64*time.Second {
			t.Errorf("%s left", p.left())
		}
	})
}
