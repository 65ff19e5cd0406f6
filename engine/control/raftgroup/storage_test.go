package raftgroup

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
)

// A log whose end was taken back, as a deposed leader's is, opens again.
func TestLogThatWasCutOpensAgain(t *testing.T) {
	d, err := OpenDataDir(t.TempDir(), "a", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	open := func() *storage {
		s, err := openStorage(d, 0, slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write := func(s *storage, from, until uint64, term uint64) {
		for i := from; i < until; i++ {
			if err := s.store.StoreLogs([]*raft.Log{{Index: i, Term: term, Data: fmt.Appendf(nil, "%d of term %d", i, term)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := open()
	write(s, 1, 11, 1)
	if err := s.store.DeleteRange(8, 10); err != nil {
		t.Fatal(err)
	}
	write(s, 8, 10, 2)
	for range 2 { // it is closed and opened twice
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		for i := uint64(1); i < 10; i++ {
			var l raft.Log
			if err := s.store.GetLog(i, &l); err != nil || l.Term != 1+i/8 {
				t.Errorf("entry %d is %q of term %d, %v", i, l.Data, l.Term, err)
			}
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
