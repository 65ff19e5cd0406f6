package paper

import (
	"fmt"
	"iter"
	"strings"
)

// Scenario is what a cell of the grid measures.
type Scenario string

// The paper's three scenarios, and the step that it left for later.
const (
	Both      Scenario = "both"      // (1) a producer writes while consumers read
	Write     Scenario = "write"     // (2) a producer writes
	Read      Scenario = "read"      // (3) consumers read a loaded topic
	Recognise Scenario = "recognise" // consumers read a loaded topic and recognise its images
)

// Reader is who the consumers are.
type Reader string

// Readers.
const (
	Nobody Reader = "none"
	Bare   Reader = "bare"   // clients of Kafka
	Engine Reader = "engine" // slots or executors of the engine
)

// Setup is a Kafka and what it is asked for.
type Setup struct {
	Nodes       int `json:"nodes"`       // brokers
	Replication int `json:"replication"` // brokers that have each record
}

// String names the setup.
func (s Setup) String() string {
	return fmt.Sprintf("%s, replication %d", count(s.Nodes, "broker"), s.Replication)
}

// Cell is a point of the grid.
type Cell struct {
	Setup
	Partitions int      `json:"partitions"`
	Scenario   Scenario `json:"scenario"`
	Reader     Reader   `json:"reader"`
	Consumers  int      `json:"consumers"` // 0 if nobody reads
}

// String describes the cell in a line.
func (c Cell) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", c.Scenario, count(c.Partitions, "partition"))
	if c.Reader != Nobody {
		fmt.Fprintf(&b, ", %s, %s", count(c.Consumers, "consumer"), c.Reader)
	}
	if c.Nodes > 1 {
		fmt.Fprintf(&b, ", %s", c.Setup)
	}
	return b.String()
}

// count returns a number and what of.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Run is one measurement of a cell. Those of the repetitions up to 0 warm up.
type Run struct {
	Cell
	Repetition int
}

// Grid is what is to be measured.
type Grid struct {
	Nodes        []int // brokers
	Replications []int // those above the number of brokers are left out
	Partitions   []int
	Consumers    []int
	Images       int64 // of a run
	Recognised   int64 // of a run in which consumers recognise
	Repetitions  int
	WarmUp       int // repetitions before those that count
}

// Setups returns the Kafkas of the grid, in the order in which they are measured.
func (g Grid) Setups() []Setup {
	var all []Setup
	for _, n := range g.Nodes {
		for _, r := range g.Replications {
			if r <= n {
				all = append(all, Setup{n, r})
			}
		}
	}
	return all
}

// Cells returns the grid's cells.
func (g Grid) Cells() []Cell {
	var all []Cell
	for _, s := range g.Setups() {
		for _, p := range g.Partitions {
			all = append(all, g.group(s, p)...)
		}
	}
	return all
}

// group returns the cells of one topic: it is written first, read by those after it, and
// what has topics of its own is last. A client and the engine take turns.
func (g Grid) group(k Setup, partitions int) []Cell {
	cells := []Cell{{k, partitions, Write, Nobody, 0}}
	for _, s := range []Scenario{Read, Recognise, Both} {
		for _, c := range g.Consumers {
			cells = append(cells, Cell{k, partitions, s, Bare, c}, Cell{k, partitions, s, Engine, c})
		}
	}
	return cells
}

// Runs returns all runs in order. Repetitions are outermost, so that a machine that
// drifts does so in all cells alike; but one number of brokers comes after the other,
// since brokers that have just been started are slow.
func (g Grid) Runs() iter.Seq[Run] {
	return func(yield func(Run) bool) {
		for _, n := range g.Nodes {
			of := g
			of.Nodes = []int{n}
			cells := of.Cells()
			for rep := 1 - g.WarmUp; rep <= g.Repetitions; rep++ {
				for _, c := range cells {
					if !yield(Run{c, rep}) {
						return
					}
				}
			}
		}
	}
}

// ImagesOf returns how many images a run of a cell takes.
func (g Grid) ImagesOf(c Cell) int64 {
	if c.Scenario == Recognise {
		return g.Recognised
	}
	return g.Images
}
