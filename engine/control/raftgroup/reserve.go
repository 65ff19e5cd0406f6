package raftgroup

import (
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/wire"
)

// reserve is how much of the disk stays free of binaries and models: a node
// whose Raft log can't grow ends.
const reserve = 256 << 20

// Reserve is what files of an announced size may take of a disk.
//
// THREADING: claim and what it returns are safe for concurrent use.
type Reserve struct {
	path string
	free func(path string) (int64, error) // bytes that the disk has

	mu      sync.Mutex
	claimed int64 // by files that are on their way
}

// NewReserve returns what may be taken of the disk of a path.
func NewReserve(path string) *Reserve { return &Reserve{path: path, free: disk.Free} }

// Claim keeps n bytes for a file until release is called, when the file is there
// or isn't wanted any more. What of it is written counts twice meanwhile: it makes
// a nearly full disk look full a little early.
func (r *Reserve) Claim(n int64) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, err := r.free(r.path)
	if err != nil {
		return nil, err
	}
	if free-r.claimed-n < reserve {
		return nil, fmt.Errorf("%w: %d MB are free in %s and %d MB of them are for files on their way; with %d MB more less than %d MB would stay free; make room there",
			wire.ErrTooLarge, free>>20, r.path, r.claimed>>20, n>>20, reserve>>20)
	}
	r.claimed += n
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.claimed -= n
	}), nil
}
