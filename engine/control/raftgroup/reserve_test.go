package raftgroup

import (
	"errors"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Files that are on their way at the same time don't count on the same room.
func TestRoomIsClaimedOnce(t *testing.T) {
	const free = reserve + 3<<30
	disk := errors.New("no such disk")
	var err error
	r := &Reserve{path: "/data", free: func(string) (int64, error) { return free, err }}
	var releases []func()
	for i, step := range []struct {
		release int // which claim is released before, -1 for none
		n       int64
		want    error
	}{
		{-1, 3<<30 + 1, wire.ErrTooLarge},
		{-1, 1 << 30, nil},
		{-1, 1 << 30, nil},
		{-1, 1<<30 + 1, wire.ErrTooLarge},
		{-1, 1 << 30, nil},
		{-1, 1, wire.ErrTooLarge},
		{0, 1 << 30, nil},
		{0, 1, wire.ErrTooLarge}, // released twice it counts once
		{1, 1, nil},
	} {
		if step.release >= 0 {
			releases[step.release]()
		}
		release, err := r.Claim(step.n)
		if !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Fatalf("step %d: %v, want %v", i, err, step.want)
		}
		if err == nil {
			releases = append(releases, release)
		}
	}
	err = disk
	if _, got := r.Claim(1); !errors.Is(got, disk) {
		t.Errorf("a disk that doesn't answer: %v", got)
	}
}
