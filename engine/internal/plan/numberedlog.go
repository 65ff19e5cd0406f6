package plan

import (
	"context"
	"slices"
)

// numberedLog is a log that is told a graph's ids and written with its own numbers.
type numberedLog struct {
	Log
	numbers *Numbers
	graph   *Graph
}

// Numbered returns a log that a driver of the graph writes to.
func (n *Numbers) Numbered(l Log, g *Graph) Log { return numberedLog{l, n, g} }

// Allocate writes an allocation and completions with the log's numbers.
func (l numberedLog) Allocate(ctx context.Context, a *Allocation, done ...Completion) error {
	logged := *a
	logged.Inputs = slices.Clone(a.Inputs)
	for i := range logged.Inputs {
		for j, in := range l.graph.Inputs {
			if in.ID == a.Inputs[i].DStream {
				logged.Inputs[i].DStream = l.numbers.Inputs[j].Number
			}
		}
	}
	numbered := make([]Completion, len(done))
	for i, c := range done {
		numbered[i] = l.completion(c)
	}
	return l.Log.Allocate(ctx, &logged, numbered...)
}

// Complete writes a completion with the log's number.
func (l numberedLog) Complete(ctx context.Context, c Completion) error {
	return l.Log.Complete(ctx, l.completion(c))
}

// completion returns a completion with the log's number.
func (l numberedLog) completion(c Completion) Completion {
	for i, o := range l.graph.Outputs {
		if o.Index == c.Output {
			c.Output = l.numbers.Outputs[i].Number
			break
		}
	}
	return c
}
