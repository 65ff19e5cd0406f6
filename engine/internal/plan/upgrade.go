package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Upgrade says what becomes of a log when a changed program goes on with it.
type Upgrade struct {
	Numbers  *Numbers
	Kept     []string // inputs and states that go on where they were
	Migrated []string // states that are kept in another form
	New      []string // what the log knows nothing of
	Dropped  []string // inputs and states of the log that the program doesn't have, or can't go on with
	Outputs  []string // what runs of batches that aren't complete
	Lost     []string // fields that a state's keys hold and its type lacks
	Removed  []string // outputs of the log that the program doesn't have; nothing of them is lost
	Refused  []string // what can't be, whatever is allowed
}

// Upgrade finds the log's inputs, outputs and states in a changed program: inputs by
// their operator and their place among those of it, states by their names, outputs by
// their operator, functions and names.
func (g *Graph) Upgrade(before *Numbers, s *LogState) *Upgrade {
	u := &Upgrade{Numbers: g.numbers()}
	n := u.Numbers
	n.NextInput, n.NextOutput = before.NextInput, before.NextOutput
	n.Begins = max(before.Begins, s.First())
	u.inputs(before)
	u.states(g, before, s.firstOpen())
	u.windows(s, g)
	u.outputs(before, s, g)
	u.values(s, g)
	return u
}

// firstOpen returns the first batch that isn't complete, or comes next.
func (s *LogState) firstOpen() uint64 {
	switch {
	case len(s.Incomplete) > 0:
		return s.Incomplete[0].Allocation.Seq
	case s.Last != nil:
		return s.Last.Seq + 1
	}
	return 1
}

func (u *Upgrade) inputs(before *Numbers) {
	n := u.Numbers
	same := func(a LoggedInput) func(LoggedInput) bool {
		return func(b LoggedInput) bool { return a.Op == b.Op && a.Nth == b.Nth }
	}
	for i := range n.Inputs {
		in := &n.Inputs[i]
		if at := slices.IndexFunc(before.Inputs, same(*in)); at >= 0 {
			in.Number = before.Inputs[at].Number
			u.Kept = append(u.Kept, fmt.Sprintf("%s: it reads on behind the last batch", in))
			continue
		}
		in.Number = n.NextInput
		n.NextInput++
		u.New = append(u.New, fmt.Sprintf("%s: it begins as that of a new job; batches before this one have nothing of it", in))
	}
	for _, in := range before.Inputs {
		if !slices.ContainsFunc(n.Inputs, same(in)) {
			u.Dropped = append(u.Dropped, fmt.Sprintf("%s: the program has none; what it was given in batches that aren't complete, and its place, are lost", in))
		}
	}
}

func (u *Upgrade) states(g *Graph, before *Numbers, open uint64) {
	n := u.Numbers
	for i := range n.States {
		s := &n.States[i]
		at := slices.IndexFunc(before.States, func(b LoggedState) bool { return b.Name == s.Name })
		if at < 0 {
			s.Begins = open
			u.New = append(u.New, fmt.Sprintf("state %s: it begins with batch %d", s.Name, open))
			continue
		}
		was := before.States[at]
		switch s.Begins = was.Begins; {
		case was.Types != s.Types:
			s.Begins = open
			u.Dropped = append(u.Dropped, fmt.Sprintf("state %s: it holds %s, the program wants %s; give the new one another name to keep both apart", s.Name, was.Types, s.Types))
		case was.Window != s.Window:
			s.Begins = open
			u.Dropped = append(u.Dropped, fmt.Sprintf("state %s: it is of a window%s, the program wants one%s; give the new one another name", s.Name, was.Window, s.Window))
		case !u.fields(g.States[i], &was):
			s.Begins = open
		case was.Partitions != s.Partitions:
			u.Migrated = append(u.Migrated, fmt.Sprintf("state %s: from %d to %d partitions", s.Name, was.Partitions, s.Partitions))
			u.variables(s, &was)
		default:
			u.Kept = append(u.Kept, "state "+s.Name)
			u.variables(s, &was)
		}
	}
	for _, was := range before.States {
		if !slices.ContainsFunc(n.States, func(s LoggedState) bool { return s.Name == was.Name }) {
			u.Dropped = append(u.Dropped, fmt.Sprintf("state %s of %s: the program has none of the name", was.Name, was.Types))
		}
	}
}

// variables finds the variables of a state that goes on: each is what it was, or it begins
// with nothing.
func (u *Upgrade) variables(s, was *LoggedState) {
	named := func(name string) func(LoggedVariable) bool {
		return func(v LoggedVariable) bool { return v.Name == name }
	}
	for _, v := range s.Holds {
		switch at := slices.IndexFunc(was.Holds, named(v.Name)); {
		case at < 0:
			u.New = append(u.New, fmt.Sprintf("%s of state %s: it begins with nothing", v, s.Name))
		case was.Holds[at].Types != v.Types:
			u.Dropped = append(u.Dropped, fmt.Sprintf("%s of state %s: the program wants a %s; give the new one another name to keep both apart", was.Holds[at], s.Name, v.Types))
		}
	}
	for _, v := range was.Holds {
		if !slices.ContainsFunc(s.Holds, named(v.Name)) {
			u.Dropped = append(u.Dropped, fmt.Sprintf("%s of state %s: the program has none of the name", v, s.Name))
		}
	}
}

// outputs finds the log's outputs. Of an operator of which the program has more or fewer
// than before none is taken for one that was there: that an output runs again is better
// than that it is left out.
func (u *Upgrade) outputs(before *Numbers, s *LogState, g *Graph) {
	n := u.Numbers
	count := func(outputs []LoggedOutput, op string) (n int) {
		for _, o := range outputs {
			if o.Op == op {
				n++
			}
		}
		return n
	}
	for i := range n.Outputs {
		o := &n.Outputs[i]
		at := slices.IndexFunc(before.Outputs, o.same)
		if at >= 0 {
			u.Kept = append(u.Kept, "output "+g.Outputs[i].String())
		} else {
			u.New = append(u.New, fmt.Sprintf("output %s: it begins with batch %d; the checkpoint has none of its operator, functions and name", g.Outputs[i], s.firstOpen()))
		}
		if at >= 0 && count(before.Outputs, o.Op) == count(n.Outputs, o.Op) {
			o.Number = before.Outputs[at].Number
			continue
		}
		o.Number = n.NextOutput
		n.NextOutput++
	}
	for _, was := range before.Outputs {
		if !slices.ContainsFunc(n.Outputs, was.same) {
			u.Removed = append(u.Removed, fmt.Sprintf("output %s: the program has none of its operator, functions and name", &was))
		}
	}
	u.unfinished(s, g, func(output int) int32 { return n.Outputs[output].Number })
}

// unfinished says which outputs run again.
func (u *Upgrade) unfinished(s *LogState, g *Graph, number func(output int) int32) {
	for _, p := range s.Incomplete {
		u.Outputs = append(u.Outputs, p.runs(g, number))
	}
	if len(s.Incomplete) == 0 {
		u.Outputs = append(u.Outputs, "none: every planned batch is complete, so no output runs again")
	}
}

// runs says which outputs of a batch that isn't complete run, and which are done. number
// returns an output's number in Done.
func (p *PendingBatch) runs(g *Graph, number func(output int) int32) string {
	var runs, done []string
	for i, o := range g.Outputs {
		if slices.Contains(p.Done, number(i)) {
			done = append(done, o.String())
		} else {
			runs = append(runs, o.String())
		}
	}
	line := fmt.Sprintf("batch %d isn't complete: %d records in its ranges; these run, maybe again: %s", p.Allocation.Seq, p.Allocation.Records(), strings.Join(runs, ", "))
	if len(done) > 0 {
		line += "; these are done: " + strings.Join(done, ", ")
	}
	return line
}

// GoOn says what a program of the same shape goes on with. What was recovered speaks of
// the graph's ids.
func (g *Graph) GoOn(n *Numbers, s *LogState) *Upgrade {
	u := &Upgrade{Numbers: n}
	for i := range n.Inputs {
		u.Kept = append(u.Kept, fmt.Sprintf("%s: it reads on behind the last batch", &n.Inputs[i]))
	}
	for i, st := range g.States {
		u.Kept = append(u.Kept, "state "+st.Name)
		if before := s.Header.Numbers; before != nil {
			u.fields(st, &before.States[i])
		}
	}
	for _, o := range g.Outputs {
		u.Kept = append(u.Kept, "output "+o.String())
	}
	u.unfinished(s, g, func(output int) int32 { return g.Outputs[output].Index })
	return u
}

// values says which values of PerBatch batches that aren't complete lack.
func (u *Upgrade) values(s *LogState, g *Graph) {
	for _, p := range s.Incomplete {
		for _, v := range g.Values {
			if !slices.ContainsFunc(p.Allocation.Values, func(had NamedValue) bool { return had.Name == v.Name }) {
				u.Refused = append(u.Refused, fmt.Sprintf("batch %d isn't complete, and has no value %q of PerBatch at %s: let the program before finish it", p.Allocation.Seq, v.Name, v.Site))
			}
		}
	}
}

// BeginAnew says how a program that can't go on with a log runs anyway.
const BeginAnew = "begin anew: with another --checkpoint directory, on a cluster without --resume"

// Check returns an error if the program can't go on with the log. allowed says that
// inputs and states may be dropped.
func (u *Upgrade) Check(allowed bool) error {
	if len(u.Refused) > 0 {
		return fmt.Errorf("%w:\n  %s", ErrOtherProgram, strings.Join(u.Refused, "\n  "))
	}
	if len(u.Dropped) == 0 || allowed {
		return nil
	}
	return fmt.Errorf("%w: this would be lost; give --allow-non-restored-state if that is meant, or %s:\n  %s",
		ErrOtherProgram, BeginAnew, strings.Join(u.Dropped, "\n  "))
}

// Print prints the upgrade for people.
func (u *Upgrade) Print(w io.Writer) {
	for _, part := range []struct {
		what  string
		lines []string
	}{{"kept", u.Kept}, {"migrated", u.Migrated}, {"new", u.New}, {"dropped", u.Dropped}, {"lost", u.Lost}, {"removed", u.Removed}, {"unfinished", u.Outputs}, {"refused", u.Refused}} {
		for _, line := range part.lines {
			fmt.Fprintf(w, "%-10s  %s\n", part.what, line)
		}
	}
}

// Summary says in a sentence which inputs, states and outputs go on, and which don't.
func (u *Upgrade) Summary() string {
	var parts []string
	for _, part := range []struct {
		what  string
		lines []string
	}{{"it goes on with", u.Kept}, {"keeps in another form", u.Migrated}, {"begins", u.New}, {"drops", u.Dropped}, {"no longer has", u.Removed}} {
		if len(part.lines) == 0 {
			continue
		}
		names := make([]string, len(part.lines))
		for i, line := range part.lines {
			names[i], _, _ = strings.Cut(line, ": ")
		}
		parts = append(parts, part.what+" "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}
