package plan

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// upgradeGraph returns a graph with inputs, outputs on the first of them, and states that
// are named NAME=TYPES.
func upgradeGraph(inputs, outputs, states []string) *Graph {
	g := new(Graph)
	for _, op := range inputs {
		g.Inputs = append(g.Inputs, &Input{Stream: g.AddStream(Declared(op))})
	}
	for i, op := range outputs {
		g.Outputs = append(g.Outputs, &Output{Declaration: Declared(op), Index: int32(i), Parent: Parent{ID: 1}})
	}
	for _, s := range states {
		name, types, _ := strings.Cut(s, "=")
		g.States = append(g.States, &State{Name: name, Types: types, Partitions: 2})
	}
	return g
}

// What a changed program finds of a log, and what it writes to it.
func TestUpgrade(t *testing.T) {
	before := upgradeGraph([]string{"a", "b"}, []string{"sink(x)", "forEachBatch", "sink(y)"}, []string{"s=int", "t=int"}).SameShape(nil)
	first := before.Inputs[0].Number
	open := &Allocation{Seq: 9, Inputs: []InputAllocation{{DStream: first, Records: 5}, {DStream: before.Inputs[1].Number, Records: 7}},
		States: []SavedState{{Name: "s", Checkpoints: []Checkpoint{{Seq: 4}}}, {Name: "t", Checkpoints: []Checkpoint{{Seq: 4}}}}}
	log := &LogState{Last: &Allocation{Seq: 9}, Incomplete: []PendingBatch{{Allocation: open, Done: []int32{0, 1, 2}}}}

	g := upgradeGraph([]string{"c", "b", "a"}, []string{"forEachBatch", "forEachBatch", "sink(y)", "sink(x)"}, []string{"u=int", "t=string", "s=int"})
	u := g.Upgrade(before, log)
	if err := u.Check(false); !errors.Is(err, ErrOtherProgram) || !strings.Contains(err.Error(), "state t: it holds int, the program wants string") {
		t.Error(err)
	}
	if err := u.Check(true); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	u.Print(&text)
	for _, line := range []string{"kept        input a", "kept        state s", "new         input c", "new         state u: it begins with batch 9", "dropped     state t", "these run, maybe again: forEachBatch at"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}

	u.Numbers.Translate(log, g)
	if a := open.Input(g.Inputs[2].ID); a == nil || a.Records != 5 || open.Input(g.Inputs[0].ID) != nil {
		t.Errorf("the inputs of the open batch are %+v", open.Inputs)
	}
	if s := open.State("s"); len(s.Checkpoints) != 1 || s.Begins != 0 {
		t.Errorf("state s is %+v", s)
	}
	if s := open.State("t"); len(s.Checkpoints) != 0 || s.Begins != 9 {
		t.Errorf("state t, of another type, is %+v", s)
	}
	// Of the two forEachBatch nobody knows which one was there; the sinks are known.
	if done := log.Incomplete[0].Done; len(done) != 2 || done[0] != 2 || done[1] != 3 {
		t.Errorf("outputs %v are done", done)
	}

	var wrote writes
	out := u.Numbers.Numbered(&wrote, g)
	a := &Allocation{Seq: 10, Inputs: []InputAllocation{{DStream: g.Inputs[2].ID}}}
	if err := errors.Join(out.Allocate(t.Context(), a), out.Complete(t.Context(), Completion{Seq: 10, Output: 3}), out.Complete(t.Context(), Completion{Seq: 10, Output: BatchDone})); err != nil {
		t.Fatal(err)
	}
	if wrote.inputs[0].DStream != first || a.Inputs[0].DStream != g.Inputs[2].ID || wrote.done[0] != 0 || wrote.done[1] != BatchDone {
		t.Errorf("written: %+v", wrote)
	}
}

// writes notes what is written to a log.
type writes struct {
	Log
	inputs []InputAllocation
	done   []int32
}

func (w *writes) Allocate(_ context.Context, a *Allocation) error {
	w.inputs = a.Inputs
	return nil
}

func (w *writes) Complete(_ context.Context, c Completion) error {
	w.done = append(w.done, c.Output)
	return nil
}

// The variables of a state are found by their names.
func TestUpgradeOfVariables(t *testing.T) {
	holding := func(held ...LoggedVariable) *Graph {
		g := upgradeGraph(nil, nil, []string{"s=string to variables"})
		g.States[0].Holds = held
		return g
	}
	before := holding(LoggedVariable{"a", "value of int"}, LoggedVariable{"b", "list of int"}, LoggedVariable{"c", "map of int to int"}, LoggedVariable{"", "timers"}).SameShape(nil)
	u := holding(LoggedVariable{"d", "value of int"}, LoggedVariable{"b", "list of string"}, LoggedVariable{"a", "value of int"}).Upgrade(before, &LogState{})
	var text strings.Builder
	u.Print(&text)
	want := `kept        state s
new         d, a value of int of state s: it begins with nothing
dropped     b, a list of int of state s: the program wants a list of string; give the new one another name to keep both apart
dropped     c, a map of int to int of state s: the program has none of the name
dropped     timers of state s: the program has none of the name
`
	if text.String() != want {
		t.Errorf("%s", &text)
	}
	if err := u.Check(false); !errors.Is(err, ErrOtherProgram) {
		t.Error(err)
	}
	if slices.Equal(Shape(holding(LoggedVariable{"a", "x"}).Describe()), Shape(holding(LoggedVariable{"a", "y"}).Describe())) {
		t.Error("states of other variables have one shape")
	}
}
