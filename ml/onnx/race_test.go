//go:build race

package onnx_test

// underRace says that the race detector is on: it allocates by itself, and makes
// the portable kernels some hundred times slower.
const underRace = true
