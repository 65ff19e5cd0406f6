// Package race tells tests whether the race detector is on: it allocates by itself, and
// makes portable kernels some hundred times slower. What they leave out then, make test
// runs without it.
package race
