package kernel

//go:noescape
func fmaLoop512(rounds int)

//go:noescape
func fmaLoop256(rounds int)

// fmaLoop runs rounds of independent multiply-adds and returns the operations done.
func fmaLoop(l Level, rounds int) float64 {
	switch l {
	case AVX512:
		fmaLoop512(rounds)
		return float64(rounds) * 16 * 16 * 2
	case AVX2:
		fmaLoop256(rounds)
		return float64(rounds) * 12 * 8 * 2
	}
	return fmaLoopPortable(rounds)
}
