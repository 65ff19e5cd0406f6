package rdd

import (
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"unsafe"
)

// order is an order of elements: compare tells it, and ranks do so faster, where there
// are some. Elements whose ranks differ are in the order of these.
type order[T any] struct {
	compare func(a, b T) int
	// rank returns the rank of an element, of a text that of its bytes from one on. Nil if
	// there are no ranks.
	rank func(v T, from int) uint64
	text bool   // elements are texts, whose ranks are of some of their bytes
	flip uint64 // which bits of ranks are the other way round
}

// natural returns the order of what is ordered in Go, in which NaNs come first.
func natural[K cmp.Ordered]() order[K] {
	return order[K]{compare: cmp.Compare[K], rank: rankOf[K](), text: reflect.TypeFor[K]().Kind() == reflect.String}
}

// directed turns the order round if the options ask for it.
func (o order[T]) directed(opts []ShuffleOption) order[T] {
	if !spreadOf(opts).descending {
		return o
	}
	compare := o.compare
	o.compare = func(a, b T) int { return compare(b, a) }
	o.flip = ^o.flip
	return o
}

// orderBy returns the order of elements by their keys.
func orderBy[T, K any](o order[K], key func(T) K) order[T] {
	by := order[T]{compare: func(a, b T) int { return o.compare(key(a), key(b)) }, text: o.text, flip: o.flip}
	if o.rank != nil {
		by.rank = func(v T, from int) uint64 { return o.rank(key(v), from) }
	}
	return by
}

// rankedRow is a row and its rank, so that sorting rarely looks at the row itself.
type rankedRow struct {
	rank uint64
	row  int
}

// Limits of sorting: what it takes for a row, whose rank is there twice, and how many rows
// it is for.
const (
	rankedRowBytes = 2 * int64(unsafe.Sizeof(rankedRow{}))
	mostSorted     = math.MaxInt32
)

// leastRanked is how many rows are worth ranks.
const leastRanked = 64

// sort returns the numbers of rows, mostSorted at most, in the rows' order; equal ones stay
// as they are.
func (o order[T]) sort(rows []T) []int32 {
	all := make([]rankedRow, len(rows))
	for i := range all {
		all[i].row = i
	}
	o.sortFrom(rows, all, make([]rankedRow, len(rows)), 0)
	numbers := make([]int32, len(all)) // less to hold while the rows are used
	for i, r := range all {
		numbers[i] = int32(r.row)
	}
	return numbers
}

// sortFrom sorts rows that are equal up to a byte. They come in the order of their numbers.
func (o order[T]) sortFrom(rows []T, all, spare []rankedRow, from int) {
	if o.rank == nil || len(all) < leastRanked || from > mostTextRanks*textRankBytes {
		slices.SortFunc(all, func(a, b rankedRow) int {
			return cmp.Or(o.compare(rows[a.row], rows[b.row]), a.row-b.row)
		})
		return
	}
	for i := range all {
		all[i].rank = o.rank(rows[all[i].row], from) ^ o.flip
	}
	sortRanks(all, spare)
	if !o.text {
		return
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].rank == all[0].rank {
			n++
		}
		if n > 1 && goesOn(all[0].rank^o.flip) {
			o.sortFrom(rows, all[:n], spare[:n], from+textRankBytes)
		}
		all, spare = all[n:], spare[n:]
	}
}

// sortRanks sorts by ranks, the lowest byte first, and lets equal ones where they are.
func sortRanks(all, spare []rankedRow) {
	var counts [8][256]int
	for _, r := range all {
		for i := range counts {
			counts[i][byte(r.rank>>(8*i))]++
		}
	}
	from, to := all, spare
	for i := range counts {
		at := &counts[i]
		if at[byte(all[0].rank>>(8*i))] == len(all) {
			continue // it is the same in all
		}
		sum := 0
		for b, n := range at {
			at[b] = sum
			sum += n
		}
		for _, r := range from {
			b := byte(r.rank >> (8 * i))
			to[at[b]] = r
			at[b]++
		}
		from, to = to, from
	}
	if &from[0] != &all[0] {
		copy(all, from)
	}
}

// Ranks of texts: so many bytes, and then how many there are, one more if the text goes on.
const (
	textRankBytes = 7
	mostTextRanks = 16 // in which texts may be equal before they are compared
)

// textRank returns the rank of a text's bytes from one on.
func textRank(s string, from int) uint64 {
	s = s[min(from, len(s)):]
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])&^0xff | uint64(min(len(s), textRankBytes+1))
}

// goesOn reports whether texts of a rank have bytes that it isn't of.
func goesOn(textRank uint64) bool { return byte(textRank) > textRankBytes }

// rankOf returns the ranks of a type that is ordered in Go.
func rankOf[K cmp.Ordered]() func(k K, from int) uint64 {
	switch reflect.TypeFor[K]().Kind() {
	case reflect.String:
		return func(k K, from int) uint64 { return textRank(*(*string)(unsafe.Pointer(&k)), from) }
	case reflect.Int:
		return signedRank[int, K]
	case reflect.Int8:
		return signedRank[int8, K]
	case reflect.Int16:
		return signedRank[int16, K]
	case reflect.Int32:
		return signedRank[int32, K]
	case reflect.Int64:
		return signedRank[int64, K]
	case reflect.Uint:
		return unsignedRank[uint, K]
	case reflect.Uint8:
		return unsignedRank[uint8, K]
	case reflect.Uint16:
		return unsignedRank[uint16, K]
	case reflect.Uint32:
		return unsignedRank[uint32, K]
	case reflect.Uint64:
		return unsignedRank[uint64, K]
	case reflect.Uintptr:
		return unsignedRank[uintptr, K]
	case reflect.Float32:
		return floatRank[float32, K]
	case reflect.Float64:
		return floatRank[float64, K]
	}
	return nil
}

// The ranks of numbers: K is a type of which N is the underlying one.

func signedRank[N int | int8 | int16 | int32 | int64, K any](k K, _ int) uint64 {
	return uint64(int64(*(*N)(unsafe.Pointer(&k)))) ^ 1<<63
}

func unsignedRank[N uint | uint8 | uint16 | uint32 | uint64 | uintptr, K any](k K, _ int) uint64 {
	return uint64(*(*N)(unsafe.Pointer(&k)))
}

func floatRank[N float32 | float64, K any](k K, _ int) uint64 {
	f := float64(*(*N)(unsafe.Pointer(&k)))
	switch bits := math.Float64bits(f); {
	case f != f:
		return 0
	case f == 0: // of either sign
		return 1 << 63
	case f < 0:
		return ^bits
	default:
		return bits | 1<<63
	}
}
