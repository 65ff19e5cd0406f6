package rdd

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Partitioner spreads keys over partitions: a [HashPartitioner], one that [SortByKey]
// made, or a program's own [KeyPartitioner]. Two RDDs with equal partitioners hold equal
// keys in the same partition, so joining them moves nothing.
type Partitioner = lineage.Partitioner

// KeyPartitioner is a Partitioner of a program's own, for keys of type K.
//
// Partitions returns how many there are, always the same number. Equal reports whether
// another partitioner puts every key where this one does, as far as it can tell: joins
// and reductions of RDDs with equal ones move nothing, so a wrong true brings wrong
// results and a needless false a shuffle. If it has a String method, what that returns must
// be the same in every process.
type KeyPartitioner[K any] interface {
	Partitioner
	// Partition returns where a key belongs, from 0 to Partitions()-1, on executors: the
	// same in every process and attempt. Another number fails the job.
	Partition(key K) int
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

// String returns the partitioner for people.
func (p HashPartitioner) String() string { return fmt.Sprintf("hash of %d", p.N) }

// singlePartition puts everything into one partition.
type singlePartition struct{}

func (singlePartition) Partitions() int { return 1 }
func (singlePartition) String() string  { return "one partition" }

func (singlePartition) Equal(o Partitioner) bool {
	_, ok := o.(singlePartition)
	return ok
}

// placer returns the partition of a key.
type placer[K any] func(key K) (int, error)

// placing returns what makes the placer of a task, which may have memory of its own. The
// error says that the partitioner can't place keys of type K.
func placing[K any](p Partitioner, keys encoding.Codec[K]) (func() placer[K], error) {
	n := p.Partitions()
	switch p := p.(type) {
	case HashPartitioner:
		return func() placer[K] { return hashPlacer(n, keys) }, nil
	case singlePartition:
		return func() placer[K] { return func(K) (int, error) { return 0, nil } }, nil
	case KeyPartitioner[K]:
		return func() placer[K] {
			return func(key K) (int, error) {
				to := p.Partition(key)
				if to < 0 || to >= n {
					return 0, fmt.Errorf("%w: %T puts the key %v into partition %d of %d", ErrPartitioner, p, key, to, n)
				}
				return to, nil
			}
		}, nil
	}
	var key K
	return nil, fmt.Errorf("%w: %T has no method Partition(%T) int", ErrPartitioner, p, key)
}

// Placer returns what places keys as a partitioner does, for one goroutine. The error says
// that the partitioner can't place keys of type K.
func Placer[K comparable](p Partitioner) (func(K) (int, error), error) {
	keys, err := encoding.ForKey[K]()
	if err != nil {
		return nil, err
	}
	place, err := placing(p, keys)
	if err != nil {
		return nil, err
	}
	return place(), nil
}

// hashPlacer returns the placer of a HashPartitioner.
func hashPlacer[K any](n int, keys encoding.Codec[K]) placer[K] {
	var encoded []byte
	return func(key K) (int, error) {
		if n == 1 {
			return 0, nil
		}
		var err error
		encoded, err = keys.Append(encoded[:0], key)
		return partitionOf(encoded, n), err
	}
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
