package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Graph is the DStreamGraph: what the build function declared, in the order it
// did. It is complete when the build function has returned and then read-only.
type Graph struct {
	Streams []*Stream
	Inputs  []*Input
	Outputs []*Output
	Values  []*PerBatch
	Models  []*Model
	States  []*State
	// Remembered is for how long the RDDs of all streams are kept at least.
	Remembered time.Duration
	// Settings are those that connectors declared, by key.
	Settings map[string]*ConnectorSetting

	// Calls runs the program's functions when a batch is generated; nil where nobody asks
	// for them.
	Calls *Calls

	made   map[Declaration]bool // values and others that aren't nodes
	frozen atomic.Bool          // the build function has returned

	lateLock sync.Mutex
	late     error // the first declaration that came afterwards
}

// Stream is the element-free view of a DStream.
type Stream struct {
	Declaration
	ID        int32        // counts from 1
	InnerSite lineage.Site // given to the RDDs made for it; zero: each has its own
	Parents   []Parent
	Slide     time.Duration // it has an RDD in batches at multiples of it only; 0: in every batch
	Back      time.Duration // how far its RDDs reach back to those of its parents: over (t-Back, t]
	Slices    bool          // its RDDs may be made of those of any stream declared before it
	Cached    bool
	Level     task.Level // where its partitions are kept, if Cached
	Names     []string   // given by DStream.Named
}

// Input is a stream that reads from outside.
type Input struct {
	*Stream
	Source any                                        // as the connector made it
	Open   func(ctx context.Context) (Planner, error) // on the driver
	// Prefetch is told on executors what a batch will read; nil if the input
	// has no use for it. What it returns, unless that is nil, drops what is left of it.
	Prefetch func(p *task.Process, ranges []byte) (forget func())
	// Receive is the input's receiver, which an executor runs until ctx ends or nothing more
	// comes. It tells the planner. It is nil if the input has none.
	Receive func(ctx context.Context, tell func(message []byte))
	// Positions says for people where ranges end; nil if the input can't.
	Positions func(ranges []byte) ([]Position, error)
}

// Position is how far one partition of an input's source was read.
type Position struct {
	Source    string `json:"source"` // such as a topic
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"` // the offset with which the next batch begins
}

// Output is an output operation: a job in each batch.
type Output struct {
	Declaration
	Index  int32
	Parent Parent
	// Open prepares the output on the driver; nil if there is nothing to prepare.
	Open func(ctx context.Context) error
	// Begin prepares it for a batch on the driver, before the batch's job; nil if there is
	// nothing to prepare.
	Begin func(ctx context.Context, a *Allocation) error
	// Action generates the job of a batch in which the parent has an RDD.
	Action func(g *Generation) lineage.Action
	// OnDriver takes the partitions' results, nil if nobody wants them.
	OnDriver func(ctx context.Context, a *Allocation, results [][]byte) error
}

// PerBatch is a value computed on the driver for each batch.
type PerBatch struct {
	Declaration
	Name    string
	Compute func(ctx context.Context, a *Allocation) ([]byte, error)
}

// Model is a named model whose versions are files.
type Model struct {
	Name    string
	Site    lineage.Site
	Carried string // digest of File
	File    []byte // the version that the program carries
	Load    func(file []byte) (any, error)
	Trained bool // versions come from the stream
	// Follow is how often the driver looks for a version that another program has
	// published; 0 for never.
	Follow time.Duration
}

// AddStream makes a node with the next id. It has RDDs in the batches in which its
// parents have.
func (g *Graph) AddStream(d Declaration, parents ...Parent) *Stream {
	n := &Stream{Declaration: d, ID: int32(len(g.Streams) + 1), InnerSite: d.Site, Parents: parents}
	if !g.Open(d.Op, d.Site) {
		return n
	}
	for _, p := range parents {
		n.Slide = max(n.Slide, g.stream(p.ID).Slide)
	}
	g.Streams = append(g.Streams, n)
	return n
}

// stream returns the stream of an id.
func (g *Graph) stream(id int32) *Stream { return g.Streams[id-1] }

// InputsOf returns the inputs that a stream is made of in a batch, in the order of their
// declaration.
func (g *Graph) InputsOf(stream int32) []*Input {
	above := make([]bool, len(g.Streams)+1)
	above[stream] = true
	for _, s := range slices.Backward(g.Streams) { // a parent's id is below its children's
		for _, p := range s.Parents {
			above[p.ID] = above[p.ID] || above[s.ID]
		}
	}
	return slices.DeleteFunc(slices.Clone(g.Inputs), func(in *Input) bool { return !above[in.ID] })
}

// IsState reports whether a stream holds the versions of a state.
func (g *Graph) IsState(stream int32) bool {
	return g.stateOf(stream) != nil
}

// SlideOf returns how a stream slides, 0 if it has an RDD in every batch.
func (g *Graph) SlideOf(stream int32) time.Duration { return g.stream(stream).Slide }

// Open reports whether something can still be declared. What comes when the graph
// is complete is noted, for whoever runs the user's code to ask for.
func (g *Graph) Open(op string, site lineage.Site) bool {
	if !g.Frozen() {
		return true
	}
	g.tooLate(&lineage.FrozenError{Op: op, Site: site, Reason: runningReason})
	return false
}

// runningReason is what a declaration is told that comes when the program runs.
const runningReason = "the program runs already: declare transformations in the build function or in Transform, and all else in the build function, not inside an output or a task"

// tooLate notes what came when it was too late for it.
func (g *Graph) tooLate(err error) {
	g.lateLock.Lock()
	defer g.lateLock.Unlock()
	if g.late == nil {
		g.late = err
	}
}

// LateError returns the first declaration that came when the graph was complete.
func (g *Graph) LateError() error {
	g.lateLock.Lock()
	defer g.lateLock.Unlock()
	return g.late
}

// Freeze completes the graph: what is declared afterwards is an error.
func (g *Graph) Freeze() { g.frozen.Store(true) }

// Frozen reports whether the graph is complete.
func (g *Graph) Frozen() bool { return g.frozen.Load() }

// frozenReason is what a transformation of a batch's RDDs after their generation
// is told.
const frozenReason = "batch %d is planned already: declare transformations in the build function, or in Transform on the RDD that it is given, not inside an output or a task"

// Generate makes the RDDs and the actions of a batch. It depends on the
// program, the allocation and those that the batch reaches back to alone.
func (g *Graph) Generate(a *Allocation, h *History, parallelism int) (*Generation, error) {
	gen := newGeneration(a, h, parallelism)
	if len(g.States) > 0 {
		gen.begin = g.Begin(a, h, false)
	}
	err := g.Calls.Guard(generating(a.Seq), func() error {
		for _, o := range g.Outputs {
			action := lineage.Action{}
			if gen.Due(g.stream(o.Parent.ID).Slide) {
				// Its place is known: nobody is to look for it on the stack.
				gen.Lineage.At(o.Site, func() { action = o.Action(gen) })
			}
			gen.Actions = append(gen.Actions, action)
		}
		for _, s := range g.States {
			gen.Actions = append(gen.Actions, s.saves(gen)...)
		}
		return nil
	})
	if err != nil { // a panic, perhaps of what came after an error
		return nil, errors.Join(gen.Lineage.Err(), fmt.Errorf("%v: %w", generating(a.Seq), err))
	}
	gen.Lineage.OnLate(g.tooLate)
	gen.Lineage.Freeze(fmt.Sprintf(frozenReason, a.Seq))
	if err := errors.Join(gen.Lineage.Err(), g.LateError()); err != nil {
		return nil, fmt.Errorf("%v: %w", generating(a.Seq), err)
	}
	return gen, nil
}

// generating names the generation of a batch of that number.
type generating uint64

func (g generating) String() string { return fmt.Sprintf("generating batch %d", uint64(g)) }
