package rdd

// Partitioner spreads keys over partitions. Two RDDs with equal partitioners
// hold equal keys in the same partition.
type Partitioner interface {
	// Partitions returns the number of partitions.
	Partitions() int
	// Equal reports whether the other spreads keys in the same way.
	Equal(Partitioner) bool
}

// HashPartitioner spreads keys by a hash of their encoding (FNV-1a, 64 bits,
// over msgpack), which is the same in every process and version.
type HashPartitioner struct{ N int }

// Partitions returns N.
func (p HashPartitioner) Partitions() int { return p.N }

// Equal reports whether o is a HashPartitioner of as many partitions.
func (p HashPartitioner) Equal(o Partitioner) bool {
	q, ok := o.(HashPartitioner)
	return ok && p == q
}

// partitionOf returns where an encoded key belongs among n partitions.
func partitionOf(key []byte, n int) int {
	h := fnv1a(key)
	h ^= h >> 32 // FNV's low bits are weak for short keys
	return int(h * 0x9e3779b97f4a7c15 >> 32 % uint64(n))
}

func fnv1a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
