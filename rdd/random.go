package rdd

import "math/rand/v2"

// randomOf returns the generator that an operator draws from in one partition. It is the
// same in every attempt and process, and another one in each micro-batch, partition and
// for each seed.
func randomOf(seed, batch uint64, partition int) *rand.Rand {
	return rand.New(rand.NewPCG(mixed(seed^mixed(batch)), mixed(uint64(partition))))
}

// mixed spreads the bits of a small number over all 64 (SplitMix64).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
