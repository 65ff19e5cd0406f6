package plan

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
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
	before := upgradeGraph([]string{"a", "b"}, []string{"sink(x)", "forEachBatch", "sink(y)", "print of x"}, []string{"s=int", "t=int"}).SameShape(nil)
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
	for _, line := range []string{"kept        input a", "kept        state s", "new         input c", "new         state u: it begins with batch 9", "dropped     state t", "these run, maybe again: forEachBatch at",
		"kept        output sink(x) at", "kept        output sink(y) at", "new         output forEachBatch at", "removed     output print of x: the program has none"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}
	place := strings.TrimPrefix(g.Outputs[0].String(), "forEachBatch")
	want := strings.ReplaceAll("it goes on with input b, input a, state s, output forEachBatch@, output sink(y)@, output sink(x)@; begins input c, state u, output forEachBatch@; "+
		"drops state t; no longer has output print of x", "@", place)
	if got := u.Summary(); got != want {
		t.Errorf("in a sentence: %s, not\n%s", got, want)
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
	if err := errors.Join(out.Allocate(t.Context(), a, Completion{Seq: 9, Output: BatchDone}, Completion{Seq: 9, Output: 3}), out.Complete(t.Context(), Completion{Seq: 10, Output: 3}), out.Complete(t.Context(), Completion{Seq: 10, Output: BatchDone})); err != nil {
		t.Fatal(err)
	}
	if wrote.inputs[0].DStream != first || a.Inputs[0].DStream != g.Inputs[2].ID || !slices.Equal(wrote.done, []int32{BatchDone, 0, 0, BatchDone}) {
		t.Errorf("written: %+v", wrote)
	}
}

// writes notes what is written to a log.
type writes struct {
	Log
	inputs []InputAllocation
	done   []int32
}

func (w *writes) Allocate(_ context.Context, a *Allocation, done ...Completion) error {
	w.inputs = a.Inputs
	for _, c := range done {
		w.done = append(w.done, c.Output)
	}
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
unfinished  none: every planned batch is complete, so no output runs again
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

// A window that the checkpoint hasn't looked back over is told with what it lacks at first.
func TestUpgradeOfWindows(t *testing.T) {
	windows := func(lengths ...time.Duration) *Graph {
		g := upgradeGraph([]string{"in"}, []string{"print"}, nil)
		for _, length := range lengths {
			s := g.AddStream(Declared("window"), Parent{ID: 1})
			s.Back, s.Slide = length, 2*time.Second
		}
		return g
	}
	before := windows(4*time.Second, 4*time.Second)
	at := func(seq uint64) *Allocation { return &Allocation{Seq: seq, TimeNanos: int64(seq) * int64(time.Second)} }
	for says, log := range map[string]*LogState{
		"so it lacks nothing": {Last: at(9), Past: []*Allocation{at(1), at(2)}},
		"no batch before 6: windows that end before 1970-01-01T00:00:14Z may be": {Last: at(9), Past: []*Allocation{at(6), at(7)}},
		"no batch before 8: windows that end before 1970-01-01T00:00:16Z may be": {Last: at(9), Incomplete: []PendingBatch{{Allocation: at(8)}}},
		"no batch before 10: the first windows are partial":                      {Last: at(9)},
	} {
		log.Header = &JobHeader{Graph: before.Describe()}
		u := windows(8*time.Second, 4*time.Second).Upgrade(before.SameShape(nil), log)
		var text strings.Builder
		u.Print(&text)
		var kept, fresh int
		for line := range strings.Lines(text.String()) {
			switch {
			case strings.HasPrefix(line, "kept        window over 4s every 2s at "):
				kept++
			case strings.HasPrefix(line, "new         window over 8s every 2s at ") && strings.Contains(line, says):
				fresh++
			}
		}
		if kept != 1 || fresh != 1 {
			t.Errorf("no %q in\n%s", says, &text)
		}
	}
}

// Fields that keys hold and the program's type lacks are told; what can't be read is
// refused, also if the program has the checkpoint's shape.
func TestUpgradeOfFields(t *testing.T) {
	type inner struct{ X, Y int }
	type was struct {
		A    int
		B    string
		In   inner
		Each []inner
		At   time.Time
		Ptr  *int
	}
	type is struct {
		A     int64
		C     string `msgpack:"B"`
		Other *inner `msgpack:",alias:In"`
		Each  []struct{ X int }
		Ptr   int
	}
	type unreadable struct {
		A string
		B string
	}
	holding := func(of string, value reflect.Type) *Graph {
		g := upgradeGraph(nil, nil, []string{"s=string to main.T"})
		g.States[0].Stored = []Stored{{What: "key", Type: reflect.TypeFor[string]()}, {Of: of, Type: value}}
		if of != "" {
			g.States[0].Holds = []LoggedVariable{{Name: of, Types: "value of main.T"}}
		}
		return g
	}
	for _, of := range []string{"", "v"} {
		before := holding(of, reflect.TypeFor[was]()).SameShape(nil)
		log := &LogState{Header: &JobHeader{Numbers: before}}
		g := holding(of, reflect.TypeFor[is]())
		for how, u := range map[string]*Upgrade{"changed": g.Upgrade(before, log), "of one shape": g.GoOn(g.SameShape(before), log)} {
			if len(u.Lost) != 2 || !strings.HasPrefix(u.Lost[0], "field Each[].Y") || !strings.HasPrefix(u.Lost[1], "field At") || !strings.Contains(u.Lost[1], "of state s: ") {
				t.Errorf("%s, of %q: lost is %q", how, of, u.Lost)
			}
			if err := u.Check(false); err != nil {
				t.Errorf("%s, of %q: %v", how, of, err)
			}
		}
		wrong := holding(of, reflect.TypeFor[unreadable]())
		u := wrong.Upgrade(before, log)
		if err := u.Check(false); !errors.Is(err, ErrOtherProgram) || !strings.Contains(err.Error(), "is an integer, the program wants a string") || len(u.Lost) > 0 {
			t.Errorf("of %q: %v, lost is %q", of, err, u.Lost)
		}
		if wrong.Readable(before) || !g.Readable(before) {
			t.Errorf("of %q: an integer is read as a string, or isn't as an integer", of)
		}
		before.States[0].Fields = nil // as of a version that knew of none
		if u := wrong.Upgrade(before, log); len(u.Lost) > 0 || u.Check(false) != nil {
			t.Errorf("of %q, without fields: %+v", of, u)
		}
	}
}
