package kernel

import "testing"

func TestTransposeInto(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		for range 200 {
			rows, cols := 1+r.IntN(70), 1+r.IntN(70)
			ld, ldd := cols+r.IntN(5), rows+r.IntN(5)
			if r.IntN(10) == 0 {
				rows, ldd = 3, 3
			}
			src, dst := normal(r, rows*ld), make([]float32, cols*ldd)
			transposeInto(l, dst, ldd, src, ld, rows, cols)
			for i := range dst {
				want := float32(0)
				if i%ldd < rows {
					want = src[i%ldd*ld+i/ldd]
				}
				if dst[i] != want {
					t.Fatalf("%s %dx%d: element %d is %v, want %v", l, rows, cols, i, dst[i], want)
				}
			}
		}
	}
}
