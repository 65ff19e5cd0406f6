package segments

import (
	"context"
	"sync"
)

// room is where those wait for whom a log is too full. The log's lock guards it.
type room struct{ freed chan struct{} }

func newRoom() room { return room{make(chan struct{})} }

// await waits while full says that there is none. mu, the log's lock, is held, but not meanwhile.
func (r *room) await(ctx context.Context, mu *sync.Mutex, full func() bool) error {
	for full() {
		freed := r.freed
		mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		mu.Lock()
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// free has those who wait look again.
func (r *room) free() {
	close(r.freed)
	r.freed = make(chan struct{})
}
