package plan

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hibana-engine/hibana/rdd"
)

// Graph is the DStreamGraph: what the build function declared, in the order it
// did. It is complete when the build function has returned and then read-only.
type Graph struct {
	Streams []*Stream
	Inputs  []*Input
	Outputs []*Output
	Values  []*PerBatch
	Models  []*Model
	// Settings are those that connectors declared, by key.
	Settings map[string]*ConnectorSetting

	made   map[Declaration]bool // values and others that aren't nodes
	frozen atomic.Bool          // the build function has returned

	lateLock sync.Mutex
	late     error // the first declaration that came afterwards
}

// Stream is the element-free view of a DStream.
type Stream struct {
	Declaration
	ID        int32    // counts from 1
	InnerSite rdd.Site // given to the RDDs made for it; zero: each has its own
	Parents   []Parent
	Cached    bool
	Names     []string // given by DStream.Named
}

// Input is a stream that reads from outside.
type Input struct {
	*Stream
	Open func(ctx context.Context) (Planner, error) // on the driver
	// Prefetch is told on executors what a batch will read; nil if the input
	// has no use for it.
	Prefetch func(p *rdd.Process, ranges []byte)
}

// Output is an output operation: a job in each batch.
type Output struct {
	Declaration
	Index  int32
	Parent Parent
	// Open prepares the output on the driver; nil if there is nothing to prepare.
	Open func(ctx context.Context) error
	// Action generates the job of a batch.
	Action func(g *Generation) rdd.Action
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
	Site    rdd.Site
	Carried string // digest of File
	File    []byte // the version that the program carries
	Load    func(file []byte) (any, error)
	Trained bool // versions come from the stream
}

// AddStream makes a node with the next id.
func (g *Graph) AddStream(d Declaration, parents ...Parent) *Stream {
	n := &Stream{Declaration: d, ID: int32(len(g.Streams) + 1), InnerSite: d.Site, Parents: parents}
	if g.Open(d.Op, d.Site) {
		g.Streams = append(g.Streams, n)
	}
	return n
}

// Open reports whether something can still be declared. What comes when the graph
// is complete is noted, for whoever runs the user's code to ask for.
func (g *Graph) Open(op string, site rdd.Site) bool {
	if !g.Frozen() {
		return true
	}
	g.tooLate(&rdd.FrozenError{Op: op, Site: site, Reason: runningReason})
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

// Describe returns one line for each stream and output, for guards and people. A
// line ends with the place in the program and what else tells it from others,
// which Shape leaves out.
func (g *Graph) Describe() []string {
	var lines []string
	for _, s := range g.Streams {
		line := fmt.Sprintf("stream %d: %s", s.ID, s.Op)
		for i, p := range s.Parents {
			sep := ", "
			if i == 0 {
				sep = " of "
			}
			line += fmt.Sprintf("%s%d", sep, p.ID)
		}
		lines = append(lines, line+s.where(s.Names, s.Parents...))
	}
	for _, o := range g.Outputs {
		lines = append(lines, fmt.Sprintf("output %d: %s of %d", o.Index, o.Op, o.Parent.ID)+o.where(nil, o.Parent))
	}
	for _, v := range g.Values {
		lines = append(lines, "per batch: "+v.Name+v.where(nil))
	}
	for _, m := range g.Models {
		lines = append(lines, fmt.Sprintf("model: %s at %s", m.Name, m.Site))
	}
	for _, key := range slices.Sorted(maps.Keys(g.Settings)) {
		if s := g.Settings[key]; s.Given {
			lines = append(lines, s.describe())
		}
	}
	return lines
}

// Fingerprint is a digest of Describe: two processes of one program have the same.
func (g *Graph) Fingerprint() uint64 { return digest(g.Describe()) }

// Shape returns the lines of Describe without their places: what a program that
// was edited, or has other settings, must still have in common with its checkpoint.
func Shape(lines []string) []string {
	shapes := make([]string, 0, len(lines))
	for _, line := range lines {
		if strings.HasPrefix(line, settingLine) {
			continue
		}
		line, _, _ = strings.Cut(line, details)
		shapes = append(shapes, line[:max(0, strings.LastIndex(line, " at "))])
	}
	return shapes
}

// Freeze completes the graph: what is declared afterwards is an error.
func (g *Graph) Freeze() { g.frozen.Store(true) }

// Frozen reports whether the graph is complete.
func (g *Graph) Frozen() bool { return g.frozen.Load() }

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
