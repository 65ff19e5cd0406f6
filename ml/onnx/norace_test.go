//go:build !race

package onnx_test

// underRace says that the race detector is on.
const underRace = false
