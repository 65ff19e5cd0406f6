package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Declaration is what tells an operator of the program from others in every
// process: what is declared, where, and with which functions. Processes compare
// it, for what they number must be the same. A loop can declare the same several
// times; those are told apart by names, see ambiguous.
type Declaration struct {
	Op        string
	Site      lineage.Site
	call      lineage.Call
	functions string // names of the user's functions, "" if there are none
}

// Declared returns the Declaration of the operator that the program calls, with
// the user's functions.
func Declared(op string, functions ...any) Declaration {
	return declared(op, functionNames(functions), lineage.Called())
}

// DeclaredAs is Declared for an operator that has made an RDD, which knows its name
// and the user's functions.
func DeclaredAs(made *lineage.Node) Declaration {
	return declared(made.Op, made.Functions, lineage.Called())
}

func declared(op string, functions []string, call lineage.Call) Declaration {
	names := slices.DeleteFunc(functions, func(name string) bool { return name == "" }) // a nil function
	return Declaration{Op: op, Site: call.Site, call: call, functions: strings.Join(names, ", ")}
}

// functionNames returns the names of functions, "" for those that are nil.
func functionNames(functions []any) []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = lineage.FuncName(f)
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
