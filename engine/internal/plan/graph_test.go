package plan

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// What an output's job is made of has the output's place, which is known: in each batch nobody
// looks for it on the stack.
func TestJobsHaveTheirOutputsPlace(t *testing.T) {
	declared := lineage.Site{File: "shop/main.go", Line: 7}
	var g Graph
	in := g.AddStream(Declaration{Op: "queue"})
	var seen lineage.Site
	g.Outputs = []*Output{{Declaration: Declaration{Op: "sink", Site: declared}, Parent: Parent{ID: in.ID}, Action: func(gen *Generation) lineage.Action {
		seen = gen.Lineage.Site()
		return lineage.Action{}
	}}}
	if _, err := g.Generate(&Allocation{Seq: 1}, &History{}, 1); err != nil {
		t.Fatal(err)
	}
	if seen != declared {
		t.Errorf("it was made at %s, the output is at %s", seen, declared)
	}
}
