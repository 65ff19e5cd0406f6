package launch

import (
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// Whoever is told that an executor takes no tasks is told what to do about it, where that
// is for people to do.
func TestExecutorTroublesNameTheRemedy(t *testing.T) {
	const wrong = "executor e1 has taken no tasks for 8s: connection refused"
	for _, c := range []struct {
		source executorSource
		want   string
	}{
		{&daemonEvents{}, wrong + "; engine-submit executor drain e1 takes jobs off it, executor forget e1 if it is gone for good"},
		{&children{}, wrong},
	} {
		var all plan.Troubles
		troubles := executorTroubles{&all, c.source.remedy}
		troubles.Executor("e1", wrong)
		if got, on := all.Now(); got != c.want || on != "e1" {
			t.Errorf("%T: %q on %q, not %q", c.source, got, on, c.want)
		}
		troubles.Executor("e1", "")
		if got, _ := all.Now(); got != "" {
			t.Errorf("%T: %q stays", c.source, got)
		}
	}
}
