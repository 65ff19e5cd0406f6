package control

import (
	"os"
	"sync"

	"github.com/hibana-engine/hibana/engine/binaries"
)

// incoming are the files of versions that are on their way to job driver
// processes. They go when nobody needs them any more.
//
// THREADING: all methods are safe for concurrent use.
type incoming struct {
	*binaries.Store

	mu    sync.Mutex
	users map[string]int // by digest
}

// openIncoming opens the directory and empties it: who wanted what an earlier
// process left there is gone.
func openIncoming(dir string) (*incoming, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	s, err := binaries.OpenCache(dir)
	if err != nil {
		return nil, err
	}
	return &incoming{Store: s, users: make(map[string]int)}, nil
}

// hold keeps a version's file, if it comes, until release is called.
func (i *incoming) hold(digest string) (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users[digest]++
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.users[digest]--; i.users[digest] == 0 {
			delete(i.users, digest)
			_ = i.Remove(digest) // it may not have come; the next start removes what stays
		}
	}
}
