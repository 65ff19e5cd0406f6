package graph

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// ErrNoOutput says that a traced function returned nothing to follow back.
var ErrNoOutput = errors.New("forward returned no output")

// Kind says where a value comes from.
type Kind int

const (
	// Computed values are a step's outputs.
	Computed Kind = iota
	// Input values change from run to run.
	Input
	// Parameter values belong to a layer, trained or persistent.
	Parameter
	// Constant values were made inside the forward pass and stay as they are.
	Constant
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"computed", "input", "parameter", "constant"}[k]
}

// Value is an array that a trace's steps read or write.
type Value struct {
	Kind  Kind
	Spec  nn.Spec
	Name  string        // the parameter's path or the variable's name, often ""
	Param *nn.Parameter // only for Parameter
	Data  *tensor.Dense // only for Parameter and Constant; shared with the network
}

// Step is one operation applied to values.
type Step struct {
	Op      nn.Op
	In, Out []int  // indices into Trace.Values
	Site    string // file:line of the call in user code
}

// Trace is one forward pass: each value is written by at most one step and
// before any step reads it.
type Trace struct {
	Values  []Value
	Steps   []Step
	Inputs  []int // the values passed to Record, in order
	Outputs []int // the values that forward returned, in order
}

// Record runs forward once on the given inputs, in the given mode, and returns
// what it did. Only what leads to an output is listed. A forward pass that reads
// elements of what depends on its inputs, as an if on x.Floats does, is refused
// with an error that says nn.ErrRead and where.
func Record(mode nn.Mode, forward func(x []*nn.Variable) []*nn.Variable, inputs ...*tensor.Dense) (*Trace, error) {
	tape := nn.NewTape(mode, nn.RecordAll())
	x := make([]*nn.Variable, len(inputs))
	for i, a := range inputs {
		x[i] = tape.Symbolic(a)
	}
	y := forward(x)
	if len(y) == 0 {
		return nil, ErrNoOutput
	}
	for _, v := range y {
		if v == nil {
			return nil, ErrNoOutput
		}
		if err := v.Err(); err != nil {
			return nil, fmt.Errorf("tracing: %w", err)
		}
	}
	if err := tape.ReadErr(); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return Of(y, x), nil
}

// Of lists what led to the outputs, which were computed on a tape made with
// nn.RecordAll.
func Of(outputs, inputs []*nn.Variable) *Trace {
	b := builder{trace: &Trace{}, index: map[*nn.Variable]int{}}
	for _, v := range inputs {
		b.trace.Inputs = append(b.trace.Inputs, b.add(v, Input))
	}
	for _, c := range history(outputs) {
		b.step(c)
	}
	for _, v := range outputs {
		b.trace.Outputs = append(b.trace.Outputs, b.leaf(v))
	}
	return b.trace
}

// history lists the calls that led to the outputs, each after those that made
// its inputs.
func history(outputs []*nn.Variable) []*nn.Call {
	var calls []*nn.Call
	seen := map[*nn.Call]bool{}
	var visit func(v *nn.Variable)
	visit = func(v *nn.Variable) {
		c := v.Creator()
		if c == nil || seen[c] {
			return
		}
		seen[c] = true
		for _, in := range c.Inputs() {
			visit(in)
		}
		calls = append(calls, c)
	}
	for _, v := range outputs {
		visit(v)
	}
	return calls
}

type builder struct {
	trace *Trace
	index map[*nn.Variable]int
}

func (b *builder) add(v *nn.Variable, kind Kind) int {
	if i, ok := b.index[v]; ok {
		return i
	}
	value := Value{Kind: kind, Spec: v.Spec(), Name: v.Name()}
	if kind == Parameter || kind == Constant {
		value.Param, value.Data = v.Parameter(), v.Data()
	}
	b.index[v] = len(b.trace.Values)
	b.trace.Values = append(b.trace.Values, value)
	return b.index[v]
}

// leaf returns the index of a variable that no step before this one wrote.
func (b *builder) leaf(v *nn.Variable) int {
	if v.Parameter() != nil {
		return b.add(v, Parameter)
	}
	return b.add(v, Constant)
}

func (b *builder) step(c *nn.Call) {
	s := Step{Op: c.Op, Site: c.Site()}
	for _, v := range c.Inputs() {
		s.In = append(s.In, b.leaf(v))
	}
	for _, v := range c.Outputs() {
		s.Out = append(s.Out, b.add(v, Computed))
	}
	b.trace.Steps = append(b.trace.Steps, s)
}

// Params returns the parameters that the trace uses, in order of first use.
func (t *Trace) Params() []*nn.Parameter {
	var p []*nn.Parameter
	for _, v := range t.Values {
		if v.Kind == Parameter {
			p = append(p, v.Param)
		}
	}
	return p
}

// Users returns, for each value, the steps that read it.
func (t *Trace) Users() [][]int {
	users := make([][]int, len(t.Values))
	for i, s := range t.Steps {
		for _, v := range s.In {
			if n := len(users[v]); n == 0 || users[v][n-1] != i {
				users[v] = append(users[v], i)
			}
		}
	}
	return users
}

// String lists the steps, one a line: "%5 (32, 10) = Linear{} %4 l3/W l3/b".
func (t *Trace) String() string {
	var b strings.Builder
	name := func(i int) string {
		if n := t.Values[i].Name; n != "" {
			return n
		}
		return fmt.Sprintf("%%%d", i)
	}
	for _, s := range t.Steps {
		for i, o := range s.Out {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s %v", name(o), t.Values[o].Spec)
		}
		fmt.Fprintf(&b, " = %s%+v", s.Op.Name(), s.Op)
		for _, in := range s.In {
			b.WriteString(" " + name(in))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
