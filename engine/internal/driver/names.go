package driver

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// names are what a graph's inputs and outputs are called where people are told of them, made
// once: each batch asks for several.
type names struct {
	inputs   []string // operator and place, by the inputs' order in the graph
	outputs  []string // the same, by their index
	abouts   []string // of the troubles of each input
	planning []string // of the trouble that an input takes long to plan
}

func namesOf(g *plan.Graph) (n names) {
	for i, in := range g.Inputs {
		n.inputs = append(n.inputs, fmt.Sprintf("%s at %s", in.Op, in.Site))
		n.abouts = append(n.abouts, fmt.Sprintf("input %d", i))
		n.planning = append(n.planning, n.abouts[i]+" planning")
	}
	for _, out := range g.Outputs {
		n.outputs = append(n.outputs, fmt.Sprintf("%s at %s", out.Op, out.Site))
	}
	return n
}
