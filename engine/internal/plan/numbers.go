package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Numbers say what a job's log calls the inputs and outputs of its program, and what it
// knows of the states. The log keeps its numbers when the program changes: what the
// changed program declares is found by what it is, not by its place in the graph.
type Numbers struct {
	Inputs     []LoggedInput  `msgpack:"in"`  // in the graph's order
	Outputs    []LoggedOutput `msgpack:"out"` // in the graph's order
	States     []LoggedState  `msgpack:"st"`  // in the graph's order
	NextInput  int32          `msgpack:"ni"`
	NextOutput int32          `msgpack:"no"`
	Begins     uint64         `msgpack:"beg"` // the first batch that windows reach back to; 0: the job's first
}

// LoggedInput is an input in a log.
type LoggedInput struct {
	Number int32  `msgpack:"n"`
	Op     string `msgpack:"op"`
	Nth    int    `msgpack:"i"` // among the inputs of this operator
}

// LoggedOutput is an output in a log.
type LoggedOutput struct {
	Number int32  `msgpack:"n"`
	Op     string `msgpack:"op"`
	Does   string `msgpack:"f"` // the user's functions and names that tell it from others
	Nth    int    `msgpack:"i"` // among the outputs of which all this is the same
}

// LoggedState is a state in a log.
type LoggedState struct {
	Name       string `msgpack:"n"`
	Types      string `msgpack:"t"`
	Window     string `msgpack:"w,omitempty"` // over which it is made, "" for none
	Partitions int    `msgpack:"p"`
	Begins     uint64 `msgpack:"beg,omitempty"` // the batch with which it begins, 0: the job's first

	Holds []LoggedVariable `msgpack:"v,omitempty"` // of each key, if it is several variables

	Fields []LoggedField `msgpack:"f,omitempty"` // of what it holds; none in logs of earlier versions
}

// LoggedField is a field of what a state holds in a log.
type LoggedField struct {
	Of   string `msgpack:"o,omitempty"` // the variable that it is of
	Name string `msgpack:"n"`           // with all that leads to it
	Kind string `msgpack:"k"`           // what is written
}

// LoggedVariable is a variable of a state in a log.
type LoggedVariable struct {
	Name  string `msgpack:"n"`
	Types string `msgpack:"t"` // what it is and holds
}

// String names a variable for people.
func (v LoggedVariable) String() string {
	if v.Name == "" {
		return v.Types
	}
	return v.Name + ", a " + v.Types
}

// Begin returns the batch with which a state begins, 0 for the job's first.
func (n *Numbers) Begin(state string) uint64 {
	if n == nil {
		return 0
	}
	for _, s := range n.States {
		if s.Name == state {
			return s.Begins
		}
	}
	return 0
}

// numbers returns the numbers of a program that begins.
func (g *Graph) numbers() *Numbers {
	n := &Numbers{NextInput: int32(len(g.Streams) + 1), NextOutput: int32(len(g.Outputs))}
	count := make(map[string]int)
	for _, in := range g.Inputs {
		n.Inputs = append(n.Inputs, LoggedInput{Number: in.ID, Op: in.Op, Nth: count[in.Op]})
		count[in.Op]++
	}
	clear(count)
	for _, o := range g.Outputs {
		does := o.functions + details + o.Parent.Name
		n.Outputs = append(n.Outputs, LoggedOutput{Number: o.Index, Op: o.Op, Does: does, Nth: count[o.Op+does]})
		count[o.Op+does]++
	}
	for _, s := range g.States {
		n.States = append(n.States, LoggedState{Name: s.Name, Types: s.Types, Window: s.Window, Partitions: s.Partitions, Holds: s.Holds, Fields: s.fields(false)})
	}
	return n
}

// SameShape returns the numbers of a program of the shape that the log is of: only its
// functions and places may differ. before is nil for a log that has none.
func (g *Graph) SameShape(before *Numbers) *Numbers {
	n := g.numbers()
	if before == nil {
		return n
	}
	for i := range n.Inputs {
		n.Inputs[i].Number = before.Inputs[i].Number
	}
	for i := range n.Outputs {
		n.Outputs[i].Number = before.Outputs[i].Number
	}
	for i := range n.States {
		n.States[i].Begins = before.States[i].Begins
	}
	n.NextInput, n.NextOutput, n.Begins = before.NextInput, before.NextOutput, before.Begins
	return n
}

// Translate makes what was recovered of a log speak of the graph's ids.
func (n *Numbers) Translate(s *LogState, g *Graph) {
	if s.Last != nil {
		n.translate(s.Last, g)
	}
	for _, a := range s.Past {
		n.translate(a, g)
	}
	for i := range s.Incomplete {
		p := &s.Incomplete[i]
		n.translate(p.Allocation, g)
		var done []int32
		for j, o := range n.Outputs {
			if slices.Contains(p.Done, o.Number) {
				done = append(done, g.Outputs[j].Index)
			}
		}
		p.Done = done
	}
}

// translate makes an allocation one of the graph's.
func (n *Numbers) translate(a *Allocation, g *Graph) {
	var inputs []InputAllocation
	for i, in := range n.Inputs {
		if logged := a.Input(in.Number); logged != nil {
			of := *logged
			of.DStream = g.Inputs[i].ID
			inputs = append(inputs, of)
		}
	}
	var states []SavedState
	for _, s := range n.States {
		saved := SavedState{Name: s.Name, Begins: s.Begins}
		if logged := a.State(s.Name); logged != nil && a.Seq >= s.Begins {
			saved = *logged
			saved.Begins = s.Begins
			saved.Checkpoints = slices.DeleteFunc(slices.Clone(saved.Checkpoints), func(c Checkpoint) bool { return c.Seq < s.Begins })
		}
		states = append(states, saved)
	}
	var values []NamedValue
	for _, v := range g.Values {
		i := slices.IndexFunc(a.Values, func(logged NamedValue) bool { return logged.Name == v.Name })
		if i < 0 { // a batch that needs it fails, since there is nothing to decode
			values = append(values, NamedValue{Name: v.Name})
			continue
		}
		values = append(values, a.Values[i])
	}
	a.Inputs, a.States, a.Values, a.Begins = inputs, states, values, n.Begins
}

// String names an output for people.
func (o *Output) String() string { return fmt.Sprintf("%s at %s", o.Op, o.Site) }

// same reports whether two are one output to the log: of one operator, with the same
// functions and names.
func (o *LoggedOutput) same(other LoggedOutput) bool {
	return o.Op == other.Op && o.Does == other.Does && o.Nth == other.Nth
}

// String names an output of which there is no place in the program any more.
func (o *LoggedOutput) String() string {
	functions, name, _ := strings.Cut(o.Does, details)
	text := o.Op
	if functions != "" {
		text += " with " + functions
	}
	if name != "" {
		text += fmt.Sprintf(" on %q", name)
	}
	return ordinal(text, o.Nth)
}

// String names an input for people.
func (i LoggedInput) String() string { return ordinal("input "+i.Op, i.Nth) }

// ordinal adds which of several it is, if it isn't the first.
func ordinal(what string, nth int) string {
	if nth == 0 {
		return what
	}
	return fmt.Sprintf("%s (number %d of those)", what, nth+1)
}
