package driver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// slowPlanner waits for a broker, which it says after a while.
type slowPlanner struct {
	plan.Planner
	says, takes time.Duration
	held        string
}

func (p slowPlanner) Plan(_ context.Context, req plan.PlanRequest) (plan.Share, error) {
	time.Sleep(p.says)
	if p.says > 0 {
		req.Waiting("broker 1 refuses connections")
	}
	time.Sleep(p.takes - p.says)
	return plan.Share{Held: p.held}, nil
}

// While an input waits, or is held up, the job's troubles say why.
func TestInputTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &plan.Input{Stream: &plan.Stream{Declaration: plan.Declaration{Op: "Direct", Site: lineage.Site{}}}}
		p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings()}
		p.Graph.Inputs = []*plan.Input{in}
		d := &Driver{Config: Config{Program: p, Troubles: new(plan.Troubles)}, names: namesOf(&p.Graph)}
		name := "Direct at " + in.Site.String()
		for _, x := range []struct {
			planner      slowPlanner
			after        time.Duration
			during, then string
		}{
			{slowPlanner{takes: time.Second}, time.Second / 2, "", ""},
			{slowPlanner{says: 3 * time.Second, takes: 40 * time.Second}, 4 * time.Second, name + " waits: broker 1 refuses connections", ""},
			{slowPlanner{takes: 8 * time.Second}, 5500 * time.Millisecond, name + ": planning batch 7 has taken 5s so far", ""},
			{slowPlanner{held: "a transaction is open"}, 0, "", name + " is held up: a transaction is open"},
			{slowPlanner{}, 0, name + " is held up: a transaction is open", ""},
		} {
			d.planners = []plan.Planner{x.planner}
			during := make(chan string, 1)
			if x.after == 0 {
				text, _ := d.Troubles.Now()
				during <- text
			} else {
				time.AfterFunc(x.after, func() { text, _ := d.Troubles.Now(); during <- text })
			}
			if _, err := d.share(t.Context(), 0, plan.PlanRequest{Seq: 7}); err != nil {
				t.Fatal(err)
			}
			then, _ := d.Troubles.Now()
			if got := <-during; got != x.during || then != x.then {
				t.Errorf("%+v: meanwhile %q, then %q; want %q, %q", x.planner, got, then, x.during, x.then)
			}
		}
	})
}

// An output that takes much longer than batches did of late is a trouble.
func TestSlowOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings()}
		for _, x := range []struct {
			usual, after time.Duration
			trouble      bool
		}{{0, 9 * time.Second, false}, {0, 11 * time.Second, true}, {10 * time.Second, 29 * time.Second, false}, {10 * time.Second, 31 * time.Second, true}} {
			d := &Driver{Config: Config{Program: p, Troubles: new(plan.Troubles)}, usual: x.usual}
			b := &plannedBatch{alloc: &plan.Allocation{Seq: 7}}
			done := d.watchOutput(b, &plan.Output{Declaration: plan.Declaration{Op: "Sink"}})
			time.Sleep(x.after)
			synctest.Wait()
			if text, _ := d.Troubles.Now(); (text != "") != x.trouble {
				t.Errorf("batches took %s, this one %s so far: %q", x.usual, x.after, text)
			}
			done()
			if text, _ := d.Troubles.Now(); text != "" {
				t.Errorf("it is over: %q", text)
			}
		}
	})
}
