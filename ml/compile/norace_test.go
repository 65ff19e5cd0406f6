//go:build !race

package compile_test

// underRace says that the race detector is on.
const underRace = false
