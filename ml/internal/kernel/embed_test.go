package kernel

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestGatherAndScatterAdd(t *testing.T) {
	table := []float32{0, 1, 10, 11, 20, 21}
	ids := []int32{2, -1, 0, 2}
	y := filled(8, 9)
	if err := Gather(y, table, 3, 2, ids, -1); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "rows", y, []float32{20, 21, 0, 0, 0, 1, 20, 21})
	g := make([]float32, 6)
	if err := ScatterAdd(g, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 3, 2, ids, -1); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "gradient", g, []float32{5, 6, 0, 0, 8, 10})
	for _, id := range []int32{-1, 3, math.MaxInt32, math.MinInt32 + 1} {
		if err := Gather(y, table, 3, 2, []int32{id}, math.MinInt32); !errors.Is(err, ErrIndex) {
			t.Errorf("gathering row %d: error is %v, want one that wraps ErrIndex", id, err)
		}
		if err := ScatterAdd(g, y, 3, 2, []int32{id}, math.MinInt32); !errors.Is(err, ErrIndex) {
			t.Errorf("scattering to row %d: error is %v, want one that wraps ErrIndex", id, err)
		}
	}
}

// Rows of any length, with ids that repeat and ids that are ignored: the bits of
// additions one after another.
func TestScatterAddAtEveryLevel(t *testing.T) {
	r := random(t)
	for dim := range 40 {
		const rows, n = 5, 23
		table, gy, ids := normal(r, rows*dim), normal(r, n*dim), make([]int32, n)
		for i := range ids {
			ids[i] = int32(r.IntN(rows+1)) - 1
		}
		want := slices.Clone(table)
		for i, id := range ids {
			for k := range dim {
				if id >= 0 {
					want[int(id)*dim+k] += gy[i*dim+k]
				}
			}
		}
		for _, l := range levels() {
			got := slices.Clone(table)
			if err := scatterAdd(l, got, gy, rows, dim, ids, -1); err != nil {
				t.Fatal(err)
			}
			sameBits(t, l.String(), got, want)
			bad := append([]int32{0}, ids...)
			bad[n] = rows
			if err := scatterAdd(l, got, append(gy, gy...), rows, dim, bad, -1); !errors.Is(err, ErrIndex) {
				t.Fatalf("%s: error is %v, want one that wraps ErrIndex", l, err)
			}
			sameBits(t, "after an error", got, want)
		}
	}
}

func TestLookup(t *testing.T) {
	table, y := []float32{0, 1, 10, 11, 20, 21}, filled(6, 9)
	if err := Lookup(y, table, 3, 2, []float32{2, 0, -2}); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "rows", y, []float32{20, 21, 0, 1, 10, 11})
	for _, id := range []float32{3, -4, 0.5, 1e30, -1e30, float32(math.NaN()), float32(math.Inf(-1))} {
		if err := Lookup(y, table, 3, 2, []float32{id}); !errors.Is(err, ErrIndex) {
			t.Errorf("row %v: error is %v, want one that wraps ErrIndex", id, err)
		}
	}
}
