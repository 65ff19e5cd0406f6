package raftgroup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The watchdog tells of a write that takes too long or fails, of no other.
func TestWatchdog(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		name  string
		takes time.Duration
		err   error
		says  string // "": nothing is told
		after time.Duration
	}{
		{"a fast write", time.Millisecond, nil, "", 0},
		{"a slow write", stallTimeout, nil, "", 0},
		{"a write that hangs", time.Hour, nil, "has been under way for 6s", stallTimeout + stallTimeout/10},
		{"a write that fails", time.Second, broken, "input/output error", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				told := make(chan error, 2)
				w := &watchedStore{path: "raft", fail: func(err error) { told <- err }}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go w.watch(ctx)
				go w.do(func() error {
					select {
					case <-time.After(tt.takes):
					case <-ctx.Done():
					}
					return tt.err
				})
				select {
				case err := <-told:
					if !errors.Is(err, ErrDisk) || tt.says == "" || !strings.Contains(err.Error(), tt.says) || time.Since(began) != tt.after {
						t.Errorf("after %s it told %v", time.Since(began), err)
					}
				case <-time.After(time.Minute):
					if tt.says != "" {
						t.Error("nothing is told")
					}
				}
			})
		})
	}
}

// A node that can't go on is left behind if it doesn't come to its end.
func TestMemberThatDoesNotEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		says  string
	}{
		{"it ends by itself", failPatience - 1, "its own end"},
		{"it doesn't", 2 * failPatience, "left as it is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Node{failed: make(chan struct{}), failure: ErrDisk}
				close(m.failed)
				ended := make(chan error, 1)
				began := time.Now()
				go func() { time.Sleep(tt.takes); ended <- errors.New("its own end") }() // of virtual time
				if err := m.Outcome(ended); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("it ended with %v", err)
				}
				if d := time.Since(began); d != min(tt.takes, failPatience) {
					t.Errorf("after %s", d)
				}
				time.Sleep(tt.takes) // until the goroutine has ended
			})
		})
	}
}
