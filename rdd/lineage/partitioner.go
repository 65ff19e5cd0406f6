package lineage

import "fmt"

// Partitioner says how records are spread over partitions. Two RDDs with equal
// partitioners hold equal keys in the same partition. How a partitioner places a key is
// known to the operators, which know the key's type.
type Partitioner interface {
	// Partitions returns the number of partitions.
	Partitions() int
	// Equal reports whether the other spreads keys in the same way.
	Equal(Partitioner) bool
}

// PartitionerName returns a partitioner for people and for comparing lineages: what its
// String says, or else its type. Values of its fields may differ from process to process.
func PartitionerName(p Partitioner) string {
	if s, ok := p.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T of %d", p, p.Partitions())
}
