package plan

import (
	"maps"
	"testing"
)

// A state of which no output is made is computed by one of its own if a stream may slice it;
// one that nothing can reach is dropped.
func TestDropUnused(t *testing.T) {
	g := new(Graph)
	state := func(name string, on ...Parent) Parent {
		s := g.AddStream(Declaration{Op: name}, on...)
		g.States = append(g.States, &State{Declaration: s.Declaration, Name: name, Stream: s.ID})
		return Parent{ID: s.ID}
	}
	in := Parent{ID: g.AddStream(Declaration{Op: "input"}).ID}
	used, below := state("used", in), state("below", in)
	state("sliced", below)
	transform := g.AddStream(Declaration{Op: "transform"}, in)
	transform.Slices = true
	state("later", in)
	g.Outputs = []*Output{{Parent: used}, {Parent: Parent{ID: transform.ID}, Index: 1}}
	g.dropUnused()
	var kept []string
	for _, s := range g.States {
		kept = append(kept, s.Name)
	}
	if len(kept) != 3 || kept[0] != "used" || kept[1] != "below" || kept[2] != "sliced" {
		t.Errorf("%q are kept", kept)
	}
	if len(g.Outputs) != 3 || g.Outputs[2].Op != "sliced" || g.Outputs[2].Index != 2 {
		t.Errorf("the outputs are %+v", g.Outputs)
	}
	if got, want := g.LastOutputs(), map[int32]int32{2: 0, 3: 2, 4: 2}; !maps.Equal(got, want) {
		t.Errorf("the states' last outputs are %v, want %v", got, want)
	}
}
