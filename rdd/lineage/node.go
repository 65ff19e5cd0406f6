package lineage

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Node is the element-free view of an RDD: what the scheduler and the guards
// see. Its exported fields are set when it is made, Partitioner until the lineage is
// frozen; then they never change. Whether it is cached may change at any time.
type Node struct {
	ID          ID
	Op          string       // operator, e.g. "map"
	Site        Site         // where the user's program called it
	Partitions  int          // number of partitions
	Deps        []Dependency // what it is computed from
	Partitioner Partitioner  // how keys are spread, nil if unknown

	// Functions are the names (see [FuncName]) of the user's functions in the
	// operator, to tell operators apart and to find them in a stack.
	Functions []string

	// Indeterminate says that another attempt may yield other records, or the
	// same in another order: the user declared it, or a parent is so.
	Indeterminate bool
	caching       atomic.Uint32 // a program may change it while a task of a step that failed runs on
	lineage       *Lineage
}

// What a node's caching may be.
const (
	notCached uint32 = iota
	cached
	pinned
)

// Cached reports whether computed partitions are kept until the batch is forgotten.
func (n *Node) Cached() bool { return n.caching.Load() != notCached }

// Pinned reports whether what is cached is dear to compute again: tasks go where it is.
func (n *Node) Pinned() bool { return n.caching.Load() == pinned }

// Lineage returns the lineage that the node belongs to.
func (n *Node) Lineage() *Lineage { return n.lineage }

// describe returns the node in one line for people.
func (n *Node) describe() string {
	var b strings.Builder
	if n.ID.Batch != n.lineage.batch {
		fmt.Fprintf(&b, "batch %d: ", n.ID.Batch)
	}
	fmt.Fprintf(&b, "%d.%d %s at %s, %d partitions", n.ID.DStream, n.ID.Ordinal, n.Op, n.Site, n.Partitions)
	for i, d := range n.Deps {
		sep := ", "
		if i == 0 {
			sep = " of "
		}
		p := d.ParentNode()
		b.WriteString(sep)
		if p.ID.Batch != n.ID.Batch {
			fmt.Fprintf(&b, "batch %d: ", p.ID.Batch)
		}
		fmt.Fprintf(&b, "%d.%d%s", p.ID.DStream, p.ID.Ordinal, d.describe())
	}
	if len(n.Functions) > 0 {
		fmt.Fprintf(&b, ", %s", strings.Join(n.Functions, ", "))
	}
	return b.String()
}

// appendIdentity appends what describe shows, compactly, for hashing.
func (n *Node) appendIdentity(b []byte) []byte {
	b = n.ID.append(b)
	b = append(b, n.Op...)
	b = append(b, 0)
	b = append(b, n.Site.File...)
	b = binary.AppendUvarint(b, uint64(n.Site.Line))
	b = binary.AppendUvarint(b, uint64(n.Partitions))
	for _, d := range n.Deps {
		p := d.ParentNode()
		b = p.ID.append(b)
		b = append(append(b, d.describe()...), 0)
	}
	for _, fn := range n.Functions {
		b = append(append(b, 0), fn...)
	}
	return append(b, 0)
}

// append appends the id to b.
func (id ID) append(b []byte) []byte {
	b = binary.AppendUvarint(b, id.Batch)
	b = binary.AppendUvarint(b, uint64(id.DStream))
	return binary.AppendUvarint(b, uint64(id.Ordinal))
}

// inherits makes what a node derives from its parents: it is indeterminate if one of
// them is.
func (n *Node) inherits() {
	n.Indeterminate = n.Indeterminate || slices.ContainsFunc(n.Deps, func(d Dependency) bool { return d.ParentNode().Indeterminate })
}
