package kernel

import "math"

// RoundHalf computes y, each x rounded to the nearest float16 (IEEE 754 binary16,
// ties to even), infinite from 65520 on. y may be x.
func RoundHalf(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = roundHalf(v)
	}
}

const (
	halfOver   = 65520      // halfway from the largest float16 to the next power of two
	halfNormal = 1. / 16384 // the smallest normal number, below which 2^-24 is the step
)

func roundHalf(v float32) float32 {
	bits := math.Float32bits(v)
	sign, size := bits&(1<<31), math.Float32frombits(bits&^(1<<31))
	switch {
	case size != size:
		return v
	case size >= halfOver:
		size = float32(math.Inf(1))
	case size < halfNormal:
		size = float32(size+0.5) - 0.5 // float32's own step at 0.5 is 2^-24
	default: // 13 bits go
		b := math.Float32bits(size)
		b += 1<<12 - 1 + b>>13&1
		size = math.Float32frombits(b &^ (1<<13 - 1))
	}
	return math.Float32frombits(sign | math.Float32bits(size))
}
