package plan

import (
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// BuildBatch makes the program a batch program: it declares nothing ahead, body makes
// its RDDs as it goes.
func (p *Program) BuildBatch(body func(sc *rdd.Context) error) error {
	p.Body = body
	p.Graph.Freeze()
	return nil
}

// NewContext returns the context in which a copy of a batch program makes its RDDs. What
// the program asks for at the wrong time fails the task in which it does.
func (p *Program) NewContext(r rdd.Runner) *rdd.Context {
	l := lineage.NewLineage(0, p.Parallelism)
	l.OnLate(p.TooLate)
	return rdd.NewContext(l, r)
}

// SharedValue returns a batch program's value for key, made by the first that asks. The
// program's own goroutine asks.
func (p *Program) SharedValue(key any, make func() any) any {
	v, ok := p.shared[key]
	if !ok {
		v = make()
		if p.shared == nil {
			p.shared = map[any]any{}
		}
		p.shared[key] = v
	}
	return v
}

// TooLate notes that something was asked for at the wrong time, for whoever runs the
// user's code to ask for.
func (p *Program) TooLate(err error) { p.Graph.tooLate(err) }

// RunBody calls the batch program. A panic is an error.
func (p *Program) RunBody(sc *rdd.Context) error {
	const what = "the program"
	defer p.Calls.Begin(what)()
	return Guard(what, func() error { return lineage.Declare(func() error { return p.Body(sc) }) })
}
