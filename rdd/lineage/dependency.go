package lineage

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Dependency is a [NarrowDependency] or a [*ShuffleDependency].
type Dependency interface {
	// ParentNode returns the node that is read.
	ParentNode() *Node
	// describe returns what is special about the dependency, for people: "" if a
	// partition reads the partition of its own number.
	describe() string
}

// NarrowDependency says that a partition needs whole partitions of its parent, which
// the same task computes.
type NarrowDependency struct {
	Parent *Node
	Map    PartitionMap // nil stands for OneToOne
}

// ParentNode returns Parent.
func (d NarrowDependency) ParentNode() *Node { return d.Parent }

// Range returns the partitions [from, until) of the parent that a partition of the
// child needs; there may be none.
func (d NarrowDependency) Range(partition int) (from, until int) {
	if d.Map == nil {
		return partition, partition + 1
	}
	return d.Map.Range(partition)
}

// IsOneToOne reports whether each partition needs the partition of its own number.
func (d NarrowDependency) IsOneToOne() bool { return d.Map == nil || d.Map == OneToOne{} }

func (d NarrowDependency) describe() string {
	if d.IsOneToOne() {
		return ""
	}
	return fmt.Sprintf(" by %s", d.Map)
}

// PartitionMap says which partitions of a parent a partition of the child needs. It is
// plain data: equal maps are ==, and String tells different ones apart.
type PartitionMap interface {
	fmt.Stringer
	// Range returns the partitions [from, until) of the parent that a partition of
	// the child needs.
	Range(partition int) (from, until int)
}

// OneToOne: partition p needs partition p.
type OneToOne struct{}

// Shifted: partition First+p needs partition p, for p below Count; others need none. A
// union is made of these (Spark's RangeDependency).
type Shifted struct{ First, Count int }

// Grouped: Of partitions are spread over Into: partition p needs those from p·Of/Into up
// to (p+1)·Of/Into, as a coalesce does.
type Grouped struct{ Of, Into int }

// Rows: partition p needs partition p/Columns, as the left side of a cartesian product.
type Rows struct{ Columns int }

// Columns: partition p needs partition p%Count, as the right side of a cartesian product.
type Columns struct{ Count int }

// Whole: every partition needs all Count partitions.
type Whole struct{ Count int }

// Range implements PartitionMap.
func (OneToOne) Range(p int) (from, until int) { return p, p + 1 }

// Range implements PartitionMap.
func (m Shifted) Range(p int) (from, until int) {
	if p < m.First || p >= m.First+m.Count {
		return 0, 0
	}
	return p - m.First, p - m.First + 1
}

// Range implements PartitionMap.
func (m Grouped) Range(p int) (from, until int) { return p * m.Of / m.Into, (p + 1) * m.Of / m.Into }

// Range implements PartitionMap.
func (m Rows) Range(p int) (from, until int) { return p / m.Columns, p/m.Columns + 1 }

// Range implements PartitionMap.
func (m Columns) Range(p int) (from, until int) { return p % m.Count, p%m.Count + 1 }

// Range implements PartitionMap.
func (m Whole) Range(int) (from, until int) { return 0, m.Count }

// String returns the map for people.
func (OneToOne) String() string { return "partition" }

// String returns the map for people.
func (m Shifted) String() string { return fmt.Sprintf("partitions from %d", m.First) }

// String returns the map for people.
func (m Grouped) String() string { return fmt.Sprintf("groups of %d in %d", m.Of, m.Into) }

// String returns the map for people.
func (m Rows) String() string { return fmt.Sprintf("rows of %d", m.Columns) }

// String returns the map for people.
func (m Columns) String() string { return fmt.Sprintf("columns of %d", m.Count) }

// String returns the map for people.
func (m Whole) String() string { return fmt.Sprintf("all %d partitions", m.Count) }

// ShuffleDependency says that every partition of the child needs records of every
// partition of the parent. It is where stages are cut: the parent's stage writes blocks,
// the child's reads them.
type ShuffleDependency struct {
	ID          int         // counts from 0 within the lineage
	Parent      *Node       // whose records are written
	Partitioner Partitioner // how the records are spread over the reading side's partitions

	Records string // type of the records in the blocks
	Combine bool   // the values of a key are combined before they are written
	Order   string // order of the records within a partition of the reading side, "" for none

	reader *Node // the operator whose shuffle it is
	write  func(tc *task.Context, partition int, w task.BlockWriter) error
}

// ParentNode returns Parent.
func (d *ShuffleDependency) ParentNode() *Node { return d.Parent }

// Partitions returns the number of partitions on the reading side.
func (d *ShuffleDependency) Partitions() int { return d.Partitioner.Partitions() }

func (d *ShuffleDependency) describe() string {
	return fmt.Sprintf(" by shuffle %d, %s", d.ID, PartitionerName(d.Partitioner))
}

// Write computes one partition of the parent and writes its blocks, in a task. The same
// attempt of the same partition writes the same bytes.
func (d *ShuffleDependency) Write(tc *task.Context, partition int, w task.BlockWriter) error {
	return d.write(tc, partition, countingWriter{tc, w})
}

// GuardedWrite is Write in a guard, see [Guard]: what panics outside of the fused
// operators is the shuffle's operator.
func (d *ShuffleDependency) GuardedWrite(tc *task.Context, partition int, w task.BlockWriter) error {
	return guard(work{final: d.Parent, end: d.reader, tc: tc}, func() error { return d.Write(tc, partition, w) })
}

// countingWriter adds up what a task writes.
type countingWriter struct {
	tc *task.Context
	to task.BlockWriter
}

func (w countingWriter) WriteBlock(reduce int, block []byte) error {
	w.tc.Metrics.ShuffleWritten += int64(len(block))
	return w.to.WriteBlock(reduce, block)
}
