package kernel

import (
	"context"
	"time"
)

// Peak measures what one core does at most, in floating-point operations a second
// (a multiply-add counts two): independent multiply-adds on registers, without
// memory, for about d at the active level. It returns what was measured until ctx
// ended, with its error.
func Peak(ctx context.Context, d time.Duration) (flops float64, err error) {
	return peak(ctx, active, d)
}

func peak(ctx context.Context, l Level, d time.Duration) (float64, error) {
	var done float64
	start := time.Now()
	for {
		done += fmaLoop(l, 1<<16)
		spent := time.Since(start)
		if err := ctx.Err(); err != nil || spent >= d {
			return done / spent.Seconds(), err
		}
	}
}

// fmaLoopPortable runs n rounds of eight multiply-adds and returns the operations.
func fmaLoopPortable(n int) float64 {
	var a [8]float32
	x := float32(0.5)
	a0, a1, a2, a3, a4, a5, a6, a7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
	for range n {
		a0 = a0*x + 1
		a1 = a1*x + 1
		a2 = a2*x + 1
		a3 = a3*x + 1
		a4 = a4*x + 1
		a5 = a5*x + 1
		a6 = a6*x + 1
		a7 = a7*x + 1
	}
	if a0+a1+a2+a3+a4+a5+a6+a7 < 0 { // never: keeps the loop
		return 0
	}
	return float64(n) * 16
}
