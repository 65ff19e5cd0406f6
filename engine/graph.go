package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hibana-engine/hibana/rdd"
)

// graph is the DStreamGraph: what the build function declared, in the order it
// did. It is complete when the build function has returned and then read-only.
type graph struct {
	streams []*streamNode
	inputs  []*inputNode
	outputs []*outputNode
	values  []*perBatchNode
	models  []*modelNode

	made   map[declaration]bool // values and others that aren't nodes
	frozen atomic.Bool          // the build function has returned

	lateLock sync.Mutex
	late     error // the first declaration that came afterwards
}

// streamNode is the element-free view of a DStream.
type streamNode struct {
	declaration
	id        int32    // counts from 1
	innerSite rdd.Site // given to the RDDs made for it; zero: each has its own
	parents   []parent
	cached    bool
	names     []string // given by Named
}

// inputNode is a stream that reads from outside.
type inputNode struct {
	*streamNode
	open func(ctx context.Context) (Planner, error) // on the driver
	// prefetch is told on executors what a batch will read; nil if the input
	// has no use for it.
	prefetch func(p *rdd.Process, ranges []byte)
}

// outputNode is an output operation: a job in each batch.
type outputNode struct {
	declaration
	index  int32
	parent parent
	// action generates the job of a batch.
	action func(g *generation) rdd.Action
	// onDriver takes the partitions' results, nil if nobody wants them.
	onDriver func(ctx context.Context, b Batch, results [][]byte) error
}

// perBatchNode is a value computed on the driver for each batch.
type perBatchNode struct {
	declaration
	name    string
	compute func(ctx context.Context, b Batch) ([]byte, error)
}

// addStream makes a node with the next id.
func (g *graph) addStream(d declaration, parents ...parent) *streamNode {
	n := &streamNode{declaration: d, id: int32(len(g.streams) + 1), innerSite: d.site, parents: parents}
	if g.open(d.op, d.site) {
		g.streams = append(g.streams, n)
	}
	return n
}

// open reports whether something can still be declared. What comes when the graph
// is complete is noted, for whoever runs the user's code to ask for.
func (g *graph) open(op string, site rdd.Site) bool {
	if !g.frozen.Load() {
		return true
	}
	g.tooLate(&rdd.FrozenError{Op: op, Site: site, Reason: runningReason})
	return false
}

// runningReason is what a declaration is told that comes when the program runs.
const runningReason = "the program runs already: declare transformations in the build function or in Transform, and all else in the build function, not inside an output or a task"

// tooLate notes what came when it was too late for it.
func (g *graph) tooLate(err error) {
	g.lateLock.Lock()
	defer g.lateLock.Unlock()
	if g.late == nil {
		g.late = err
	}
}

// lateError returns the first declaration that came when the graph was complete.
func (g *graph) lateError() error {
	g.lateLock.Lock()
	defer g.lateLock.Unlock()
	return g.late
}

// describe returns one line for each stream and output, for guards and people. A
// line ends with the place in the program and what else tells it from others,
// which shape leaves out.
func (g *graph) describe() []string {
	var lines []string
	for _, s := range g.streams {
		line := fmt.Sprintf("stream %d: %s", s.id, s.op)
		for i, p := range s.parents {
			sep := ", "
			if i == 0 {
				sep = " of "
			}
			line += fmt.Sprintf("%s%d", sep, p.id)
		}
		lines = append(lines, line+s.where(s.names, s.parents...))
	}
	for _, o := range g.outputs {
		lines = append(lines, fmt.Sprintf("output %d: %s of %d", o.index, o.op, o.parent.id)+o.where(nil, o.parent))
	}
	for _, v := range g.values {
		lines = append(lines, "per batch: "+v.name+v.where(nil))
	}
	for _, m := range g.models {
		lines = append(lines, fmt.Sprintf("model: %s at %s", m.name, m.site))
	}
	return lines
}

// fingerprint is a digest of describe: two processes of one program have the same.
func (g *graph) fingerprint() uint64 { return digest(g.describe()) }

// shape returns the lines of describe without their places: what a program that
// was edited must still have in common with its checkpoint.
func shape(lines []string) []string {
	shapes := make([]string, len(lines))
	for i, line := range lines {
		line, _, _ = strings.Cut(line, details)
		shapes[i] = line[:max(0, strings.LastIndex(line, " at "))]
	}
	return shapes
}

// digest returns a hash of lines.
func digest(lines []string) uint64 {
	h := fnv.New64a()
	var n [8]byte
	for _, line := range lines {
		binary.BigEndian.PutUint64(n[:], uint64(len(line)))
		_, _ = h.Write(n[:]) // hash.Hash never fails
		_, _ = h.Write([]byte(line))
	}
	return h.Sum64()
}

// generation is the making of one batch's RDDs from its allocation.
type generation struct {
	batch   Batch
	lineage *rdd.Lineage
	memo    map[int32]any // *rdd.RDD[T] by stream id
	actions []rdd.Action
}

// frozenReason is what a transformation of a batch's RDDs after their generation
// is told.
const frozenReason = "batch %d is planned already: declare transformations in the build function, or in Transform on the RDD that it is given, not inside an output or a task"

// generate makes the RDDs and the actions of a batch. It depends on the
// program and the allocation alone.
func (g *graph) generate(a *BatchAllocation, parallelism int) (*generation, error) {
	gen := &generation{
		batch:   Batch{Seq: a.Seq, Time: a.Time(), alloc: a},
		lineage: rdd.NewLineage(a.Seq, parallelism),
		memo:    make(map[int32]any, len(g.streams)),
		actions: make([]rdd.Action, 0, len(g.outputs)),
	}
	err := guardDriver(fmt.Sprintf("generating batch %d", a.Seq), func() error {
		for _, o := range g.outputs {
			gen.actions = append(gen.actions, o.action(gen))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	gen.lineage.OnLate(g.tooLate)
	gen.lineage.Freeze(fmt.Sprintf(frozenReason, a.Seq))
	if err := errors.Join(gen.lineage.Err(), g.lateError()); err != nil {
		return nil, fmt.Errorf("generating batch %d: %w", a.Seq, err)
	}
	return gen, nil
}
