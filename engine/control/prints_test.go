package control

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Requests that nobody waits for any more, and that the process hasn't taken yet, hold
// up no other one.
func TestPrintsOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a request blocks
		p := newPrints(7)
		ask := func() error {
			_, forget, err := p.request(wire.Print{State: "sums"})
			if err == nil {
				forget()
			}
			return err
		}
		for range maxPrints {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask(); !errors.Is(err, wire.ErrNotReady) {
			t.Errorf("one too many: %v", err)
		}
		<-p.requests // the process takes one
		if err := ask(); err != nil {
			t.Errorf("there is room again: %v", err)
		}
	})
}
