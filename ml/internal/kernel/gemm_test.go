package kernel

import (
	"testing"
)

func TestGemmAgainstDefinition(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for it := range 150 {
				m, n, k := 1+r.IntN(40), 1+r.IntN(80), r.IntN(90)
				switch it % 10 {
				case 7:
					k = 250 + r.IntN(500)
				case 8:
					m = 1 + r.IntN(600)
				case 9:
					n = 1 + r.IntN(1200)
				}
				tA, tB := r.IntN(2) == 1, r.IntN(2) == 1
				lda, ldb, ldc := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
				ra, rb := m, k
				if tA {
					lda, ra = m+r.IntN(3), k
				}
				if tB {
					ldb, rb = k+r.IntN(3), n
				}
				a, b, c := normal(r, ra*lda), normal(r, rb*ldb), normal(r, m*ldc)
				alpha := []float32{1, 1, -2, 0}[r.IntN(4)]
				beta := []float32{0, 1, 0.5}[r.IntN(3)]
				want := naiveGemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
				gemm(l, tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
				closeTo(t, "gemm", c, want, 1e-5, 30)
			}
		})
	}
}

func TestPackedMulAgainstDefinition(t *testing.T) {
	r := random(t)
	acts := []Activation{Identity, ReLUActivation, ReLU6Activation, LeakyReLUActivation, SigmoidActivation, TanhActivation}
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for it := range 100 {
				m, n, k := 1+r.IntN(40), 1+r.IntN(100), r.IntN(60)
				switch it % 5 {
				case 0:
					k = 300 + r.IntN(600)
				case 1:
					k = 0
				}
				ldx, ldy := k+r.IntN(3), n+r.IntN(3)
				trans := r.IntN(2) == 1
				ldw := n
				if trans {
					ldw = k
				}
				w, x, y := normal(r, k*n), edgy(r, m*ldx, r.IntN(3)), normal(r, m*ldy)
				var bias []float32
				if r.IntN(3) > 0 {
					bias = edgy(r, n, n/4)
				}
				act := acts[r.IntN(len(acts))]
				want := naiveGemm(false, trans, m, n, k, 1, x, ldx, w, ldw, 0, y, ldy)
				for i := range m {
					for j := range n {
						v := []float32{float32(want[i*ldy+j])}
						if bias != nil {
							v[0] += bias[j]
						}
						act.Apply(v, v)
						want[i*ldy+j] = float64(v[0])
					}
				}
				PackB(w, k, n, trans).mul(l, m, x, ldx, bias, act, y, ldy)
				closeTo(t, "mul", y, want, 1e-5, 30)
			}
		})
	}
}

// A row's result is the same bits in every batch, in Gemm and in a packed product.
func TestBatchNeverChangesARow(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for range 20 {
				m, n, k := 2+r.IntN(70), 1+r.IntN(140), 1+r.IntN(700)
				x, w, bias := normal(r, m*k), normal(r, k*n), normal(r, n)
				p := PackB(w, k, n, false)
				all, raw := make([]float32, m*n), make([]float32, m*n)
				p.mul(l, m, x, k, bias, ReLUActivation, all, n)
				gemm(l, false, false, m, n, k, 1, x, k, w, n, 0, raw, n)
				for range 8 {
					i := r.IntN(m)
					rows := 1 + r.IntN(m-i)
					part := make([]float32, rows*n)
					p.mul(l, rows, x[i*k:], k, bias, ReLUActivation, part, n)
					sameBits(t, "packed", part, all[i*n:(i+rows)*n])
					gemm(l, false, false, rows, n, k, 1, x[i*k:], k, w, n, 0, part, n)
					sameBits(t, "gemm", part, raw[i*n:(i+rows)*n])
				}
			}
		})
	}
}
