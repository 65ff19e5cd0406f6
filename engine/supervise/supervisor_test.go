package supervise_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/supervise"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A process that never becomes ready is given up, with its last words.
func TestSupervisorGivesUp(t *testing.T) {
	var exits []supervise.Exit
	s := &supervise.Supervisor{
		Path: "/bin/sh", Args: []string{"-c", "echo no camera; exit 3"}, Output: io.Discard,
		OnReady: func(string, *wire.ReadyRequest) { t.Error("it is ready") },
		OnExit:  func(x supervise.Exit) { exits = append(exits, x) },
	}
	err := s.Run(t.Context())
	if !errors.Is(err, supervise.ErrCrashes) || !strings.Contains(err.Error(), "no camera") {
		t.Errorf("it ends with %v", err)
	}
	if n := len(exits); n == 0 || !exits[n-1].Fatal || exits[0].Fatal || exits[n-1].Crashes != n {
		t.Errorf("exits %+v", exits)
	}
}
