package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
)

// Declaration is what tells an operator of the program from others in every
// process: what is declared, where, and with which functions. Processes compare
// it, for what they number must be the same. A loop can declare the same several
// times; those are told apart by names, see ambiguous.
type Declaration struct {
	Op        string
	Site      rdd.Site
	call      rdd.Call
	functions string // names of the user's functions, "" if there are none
}

// Declared returns the Declaration of the operator that the program calls, with
// the user's functions.
func Declared(op string, functions ...any) Declaration {
	return declared(op, functionNames(functions), rdd.Called())
}

// DeclaredAs is Declared for an operator that has made an RDD, which knows its name
// and the user's functions.
func DeclaredAs(made *rdd.Node) Declaration {
	return declared(made.Op, made.Functions(), rdd.Called())
}

func declared(op string, functions []string, call rdd.Call) Declaration {
	names := slices.DeleteFunc(functions, func(name string) bool { return name == "" }) // a nil function
	return Declaration{Op: op, Site: call.Site, call: call, functions: strings.Join(names, ", ")}
}

// functionNames returns the names of functions, "" for those that are nil.
func functionNames(functions []any) []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = rdd.FuncName(f)
	}
	return names
}

// Symbols returns the names of the user's functions.
func (d Declaration) Symbols() []string {
	if d.functions == "" {
		return nil
	}
	return strings.Split(d.functions, ", ")
}

// Parent is a stream that another one, or an output, is declared on.
type Parent struct {
	ID   int32
	Name string // given to it by Named for what is declared on it, "" for none
}

// details parts what a line of describe says of an operator's shape and place from
// what else tells it from others.
const details = " | "

// where returns the end of a line of describe.
func (d Declaration) where(names []string, parents ...Parent) string {
	line := fmt.Sprintf(" at %s", d.Site)
	if d.functions != "" {
		line += details + d.functions
	}
	if d.call.Via != "" {
		line += details + "called by " + d.call.Via
	}
	for _, name := range names {
		line += details + fmt.Sprintf("named %q", name)
	}
	for _, p := range parents {
		if p.Name != "" {
			line += details + fmt.Sprintf("on %q", p.Name)
		}
	}
	return line
}

// ambiguous returns an error for each place in the program that declares several
// operators with the same functions, of which nothing tells one from the other. In
// a range over a map another process declares them in another order, and no
// comparison of the graphs would see it. Operators are told apart by the names of
// streams that they are made of, and by the inputs of these.
func (g *Graph) ambiguous() []error {
	var same siblings
	origins := make([][]string, len(g.Streams)+1) // by stream id
	origin := func(parents []Parent) (o []string) {
		for _, p := range parents {
			if o = append(o, origins[p.ID]...); p.Name != "" {
				o = append(o, "on "+p.Name)
			}
		}
		return o
	}
	for _, s := range g.Streams {
		o := origin(s.Parents)
		if len(s.Parents) == 0 {
			o = append(o, "input "+s.Op)
		}
		for _, name := range s.Names {
			o = append(o, "named "+name)
		}
		slices.Sort(o)
		origins[s.ID] = slices.Compact(o)
		same.add(s.Declaration, origins[s.ID], nameStream)
	}
	for _, o := range g.Outputs {
		same.add(o.Declaration, origin([]Parent{o.Parent}), nameOutput)
	}
	return same.errors()
}

// siblings counts declarations that can't be told apart.
type siblings struct {
	count map[sibling]int
	order []sibling // those of which there are several
}

type sibling struct {
	Declaration
	origin string
	remedy string
}

// add counts a declaration. One without functions does the same as its siblings.
func (s *siblings) add(d Declaration, origin []string, remedy string) {
	if d.functions == "" {
		return
	}
	if s.count == nil {
		s.count = make(map[sibling]int)
	}
	id := sibling{d, strings.Join(origin, "\x00"), remedy}
	if s.count[id]++; s.count[id] == 2 {
		s.order = append(s.order, id)
	}
}

func (s *siblings) errors() []error {
	var errs []error
	for _, id := range s.order {
		errs = append(errs, &rdd.OpError{Op: id.Op, Site: id.Site, Err: fmt.Errorf(
			"%w: %d are declared here with one function (%s), and a loop that runs in another order in another process, as a range over a map does, would mix them up; %s",
			ErrAmbiguous, s.count[id], id.functions, id.remedy)})
	}
	return errs
}

// What to write when operators can't be told apart.
const (
	nameStream = "write .Named(name) after it, another name each time, as in engine.Map(s, f).Named(name)"
	nameOutput = "give it a stream under another name each time, as in engine.ForEachBatch(s.Named(name), f)"
)

// Once returns an error unless this is the first of its kind that is declared here:
// what is told apart by its own name alone must have another one at each call.
func (g *Graph) Once(d Declaration) error {
	if g.made[d] {
		return fmt.Errorf("%w: it is declared here several times under one name; in a loop give each a name of its own", ErrAmbiguous)
	}
	if g.made == nil {
		g.made = make(map[Declaration]bool)
	}
	g.made[d] = true
	return nil
}
