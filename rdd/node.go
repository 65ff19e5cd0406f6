package rdd

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// MaxPartitions is how many partitions an RDD can have: one is a task at least.
const MaxPartitions = 1_000_000

// Node is the element-free view of an RDD: what the scheduler and the guards
// see. Its exported fields are set when it is made and never change.
type Node struct {
	ID          ID
	Op          string       // operator, e.g. "map"
	Site        Site         // where the user's program called it
	Partitions  int          // number of partitions
	Deps        []Dependency // what it is computed from
	Partitioner Partitioner  // how keys are spread, nil if unknown

	// Indeterminate says that another attempt may yield other records, or the
	// same in another order: the user declared it, or a parent is so.
	Indeterminate bool
	// Cached says that computed partitions are kept until the batch is forgotten.
	Cached bool

	lineage *Lineage
	fns     []string // names of the user's functions, to tell operators apart and to find them in a stack
}

// Functions returns the names (see [FuncName]) of the user's functions in the operator.
func (n *Node) Functions() []string { return slices.Clone(n.fns) }

// Dependency is a [NarrowDependency] or a [*ShuffleDependency].
type Dependency interface{ parent() *Node }

// NarrowDependency says that a partition needs whole partitions of its parent,
// which the same task computes.
type NarrowDependency struct{ Parent *Node }

func (d NarrowDependency) parent() *Node { return d.Parent }

// ParentOf returns the node that a dependency reads.
func ParentOf(d Dependency) *Node { return d.parent() }

// describe returns the node in one line for people.
func (n *Node) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d.%d %s at %s, %d partitions", n.ID.DStream, n.ID.Ordinal, n.Op, n.Site, n.Partitions)
	for i, d := range n.Deps {
		sep := ", "
		if i == 0 {
			sep = " of "
		}
		p := d.parent()
		fmt.Fprintf(&b, "%s%d.%d", sep, p.ID.DStream, p.ID.Ordinal)
		if s, ok := d.(*ShuffleDependency); ok {
			fmt.Fprintf(&b, " by shuffle %d", s.ID)
		}
	}
	if len(n.fns) > 0 {
		fmt.Fprintf(&b, ", %s", strings.Join(n.fns, ", "))
	}
	return b.String()
}

// appendIdentity appends what describe shows, compactly, for hashing.
func (n *Node) appendIdentity(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(n.ID.DStream))
	b = binary.AppendUvarint(b, uint64(n.ID.Ordinal))
	b = append(b, n.Op...)
	b = append(b, 0)
	b = append(b, n.Site.File...)
	b = binary.AppendUvarint(b, uint64(n.Site.Line))
	b = binary.AppendUvarint(b, uint64(n.Partitions))
	for _, d := range n.Deps {
		p := d.parent()
		b = binary.AppendUvarint(b, uint64(p.ID.DStream))
		b = binary.AppendUvarint(b, uint64(p.ID.Ordinal))
		if s, ok := d.(*ShuffleDependency); ok {
			b = binary.AppendUvarint(b, uint64(s.ID)+1)
		}
	}
	for _, fn := range n.fns {
		b = append(append(b, 0), fn...)
	}
	return append(b, 0)
}
