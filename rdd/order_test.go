package rdd

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Sorting by ranks is sorting by comparing, stably and both ways, whatever is ordered in Go.
func TestRanksAreTheOrder(t *testing.T) {
	type named string
	rng := rand.New(rand.NewPCG(3, 0))
	long := strings.Repeat("long", 50)
	texts := []string{"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "\xff", "seven_7", "seven_7\x00", "seven_78", "seven_7\xff", long, long + "a", long + "\x00"}
	for range 20 {
		texts = append(texts, fmt.Sprintf("https://example.org/%03d", rng.IntN(1000)), fmt.Sprintf("%x", rng.Uint64()))
	}
	var names []named
	for _, s := range texts {
		names = append(names, named(s))
	}
	ints := []int64{0, 1, -1, math.MinInt64, math.MaxInt64, 255, 256, -256}
	floats := []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), -math.NaN(), math.SmallestNonzeroFloat64, -math.MaxFloat64, 1e-300}
	ranked(t, rng, texts)
	ranked(t, rng, names)
	ranked(t, rng, ints)
	ranked(t, rng, floats)
	ranked(t, rng, []int8{0, 1, -1, math.MinInt8, math.MaxInt8})
	ranked(t, rng, []int16{0, 1, -1, math.MinInt16, math.MaxInt16})
	ranked(t, rng, []int32{0, 1, -1, math.MinInt32, math.MaxInt32})
	ranked(t, rng, []int{0, 1, -1, math.MinInt, math.MaxInt})
	ranked(t, rng, []uint8{0, 1, 127, 128, 255})
	ranked(t, rng, []uint16{0, 1, math.MaxUint16})
	ranked(t, rng, []uint32{0, 1, math.MaxUint32})
	ranked(t, rng, []uint64{0, 1, math.MaxInt64, math.MaxUint64})
	ranked(t, rng, []uint{0, 1, math.MaxUint})
	ranked(t, rng, []uintptr{0, 1, 1 << 20})
	ranked(t, rng, []float32{0, 1, -1, float32(math.Inf(1)), float32(math.NaN()), math.SmallestNonzeroFloat32})
}

// ranked sorts many rows of a few keys.
func ranked[K cmp.Ordered](t *testing.T, rng *rand.Rand, keys []K) {
	type row struct {
		key    K
		number int
	}
	var rows []row
	for n := range 40 * leastRanked {
		rows = append(rows, row{keys[rng.IntN(len(keys))], n})
	}
	key := func(r row) K { return r.key }
	for name, opts := range map[string][]ShuffleOption{"ascending": nil, "descending": {Descending()}} {
		by := orderBy(natural[K]().directed(opts), key)
		if by.rank == nil {
			t.Errorf("%T has no ranks", keys[0])
		}
		want := slices.Clone(rows)
		slices.SortStableFunc(want, func(a, b row) int {
			if c := cmp.Compare(a.key, b.key); opts == nil {
				return c
			} else {
				return -c
			}
		})
		for i, at := range by.sort(rows) {
			if got := rows[at]; got.number != want[i].number {
				t.Errorf("%s: row %d is %v, not %v", name, i, got, want[i])
				break
			}
		}
	}
}

// An order that only a function knows is stable too.
func TestOrderOfAFunction(t *testing.T) {
	var rows []int
	for i := range 1000 {
		rows = append(rows, (i*7)%1000)
	}
	by := order[int]{compare: func(a, b int) int { return a%10 - b%10 }}
	want := slices.Clone(rows)
	slices.SortStableFunc(want, by.compare)
	var got []int
	for _, i := range by.sort(rows) {
		got = append(got, rows[i])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// Keys of another function each time are in some order, and no panic.
func TestOrderOfKeysThatChange(t *testing.T) {
	n := 0
	by := orderBy(natural[string](), func(int) string {
		n++
		return strings.Repeat("x", max(0, 40-n/100))
	})
	rows := make([]int, 1000)
	if got := by.sort(rows); len(got) != len(rows) {
		t.Errorf("%d rows of %d", len(got), len(rows))
	}
}
