package kernel

import (
	"math/rand/v2"
	"testing"
)

// FuzzGemm multiplies matrices of any small shape, with guards round C that must
// stay as they are, at every level.
func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint16(14), uint16(32), uint16(256), byte(0))
	f.Add(uint64(2), uint16(7), uint16(65), uint16(321), byte(3))
	f.Add(uint64(3), uint16(1), uint16(1), uint16(0), byte(5))
	f.Fuzz(func(t *testing.T, seed uint64, m16, n16, k16 uint16, mode byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		m, n, k := int(m16%48), int(n16%112), int(k16%700)
		tA, tB := mode&1 != 0, mode&2 != 0
		alpha, beta := float32(1), []float32{0, 1, -0.5}[mode>>2%3]
		lda, ldb, ldc := max(m, k, 1), max(n, k, 1), n+3
		a, b := normal(r, max(m, k)*lda), normal(r, max(n, k)*ldb)
		c := normal(r, m*ldc+1)
		want := naiveGemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		for _, l := range levels() {
			got := append([]float32{}, c...)
			gemm(l, tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, got[:max(m*ldc-3, 0)], ldc)
			closeTo(t, l.String(), got, want, 1e-5, 40)
			for i, v := range got {
				if i%ldc >= n && v != c[i] {
					t.Fatalf("%s: wrote beside the matrix, at %d", l, i)
				}
			}
		}
	})
}

// FuzzPackedConv convolves shapes drawn from the seed and compares every level with
// the definition.
func FuzzPackedConv(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, byte(seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, mode byte) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := randomConv(r)
		if mode&64 != 0 {
			s = randomDepthwise(r)
		}
		var pool *PoolShape
		if mode&1 != 0 {
			k := 1 + int(mode>>2%3)
			pool = &PoolShape{KH: k, KW: k, StrideH: 1 + int(mode>>4%3), StrideW: 1 + int(mode>>4%3), CoverAll: mode&2 != 0}
		}
		act := inTiles[r.IntN(len(inTiles))]
		x, w, bias := edgy(r, s.N*s.C*s.H*s.W, r.IntN(3)), normal(r, s.OC*planConv(s).k), normal(r, s.OC)
		for _, l := range levels() {
			checkPackedConv(t, l, act, s, pool, x, w, bias)
		}
	})
}

// FuzzCells runs recurrent cells of any small shape and compares every level, bit
// for bit, with the portable one.
func FuzzCells(f *testing.F) {
	f.Add(uint64(1), uint16(1), uint16(1), byte(0))
	f.Add(uint64(2), uint16(3), uint16(33), byte(15))
	f.Add(uint64(3), uint16(2), uint16(300), byte(5))
	f.Fuzz(func(t *testing.T, seed uint64, n, units uint16, mode byte) {
		checkCells(t, seed, 1+int(n%4), 1+int(units%400), mode)
	})
}

// FuzzPool pools shapes drawn from the seed and compares every level, exactly,
// with the portable one.
func FuzzPool(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, uint8(17*seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, wider uint8) {
		r := rand.New(rand.NewPCG(seed, 4))
		s := randomPool(r)
		s.W += int(wider)
		checkPool(t, r, s)
	})
}

// FuzzNorm normalises batches of any small shape and compares every level, bit for
// bit, with the portable one.
func FuzzNorm(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(1), uint8(1))
	f.Add(uint64(2), uint8(33), uint8(17), uint8(1))
	f.Add(uint64(3), uint8(16), uint8(3), uint8(63))
	f.Fuzz(func(t *testing.T, seed uint64, n, c, inner uint8) {
		r := rand.New(rand.NewPCG(seed, 6))
		b := &batchNorm{n: 1 + int(n%40), c: 1 + int(c%40), inner: 1 + int(inner%80)}
		size := b.n * b.c * b.inner
		b.x, b.gy, b.gamma, b.beta = normal(r, size), normal(r, size), normal(r, b.c), normal(r, b.c)
		b.checkLevels(t, b.made(Portable))
	})
}
