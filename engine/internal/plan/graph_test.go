package plan

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd"
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

// RDDs that outputs make have ids of their own, and their outputs' places.
func TestOutputsMakeRDDs(t *testing.T) {
	var g Graph
	in := g.AddStream(Declaration{Op: "queue"})
	for line := range 2 {
		g.Outputs = append(g.Outputs, &Output{
			Declaration: Declaration{Op: "sink", Site: lineage.Site{File: "shop/main.go", Line: line + 1}}, Parent: Parent{ID: in.ID},
			Action: func(gen *Generation) lineage.Action {
				return lineage.Action{Final: rdd.Parallelize(gen.RDDs, []int{1}).Node()}
			},
		})
	}
	gen, err := g.Generate(&Allocation{Seq: 7}, &History{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range gen.Actions {
		if id, want := a.Final.ID, (lineage.ID{Batch: 7, Ordinal: int32(i)}); id != want || a.Final.Site != g.Outputs[i].Site {
			t.Errorf("output %d, at %s, made %s at %s, want %s", i, g.Outputs[i].Site, id, a.Final.Site, want)
		}
	}
}
