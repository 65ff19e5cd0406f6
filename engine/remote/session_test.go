package remote

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A driver whose stream broke while it waited to be let in doesn't end the
// session of the one that drives.
func TestLateSessionEndsNobody(t *testing.T) {
	s := NewServer(incarnation, 1, succeed(nil), slog.New(slog.DiscardHandler))
	t.Cleanup(s.Close)
	live, late := newSession(s), newSession(s)
	hello := &wire.Hello{Incarnation: incarnation, Epoch: 1}
	if err := s.admit(live, hello); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("its stream broke")
	s.leave(late, gone)
	if err := s.admit(late, hello); !errors.Is(err, gone) {
		t.Errorf("the late one is admitted: %v", err)
	}
	if ended, _ := live.isOver(); ended || !s.drives(live) {
		t.Error("the live one doesn't drive any more")
	}
}
