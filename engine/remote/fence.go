package remote

import (
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/engine/wire"
)

// fence says which session drives: that of the highest epoch that came.
//
// THREADING: mu guards it. Of other locks only a session's is taken meanwhile, and
// the slots' while a task is begun or their number changes.
type fence struct {
	mu      sync.Mutex
	epoch   uint64   // highest seen
	current *session // nil while nobody drives
}

// admit makes a session the one that drives, unless its driver is older or has gone.
// It returns the one before, nil if nobody drove, and whether that is deposed.
func (f *fence) admit(sess *session, epoch uint64) (before *session, deposed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ended, cause := sess.isOver(); ended { // it waited for the host, and its driver has gone
		return nil, false, cause
	}
	if epoch < f.epoch {
		return nil, false, fmt.Errorf("%w: this executor follows epoch %d, the driver's is %d", wire.ErrStaleEpoch, f.epoch, epoch)
	}
	before, deposed = f.current, epoch > f.epoch
	f.epoch, f.current = epoch, sess
	return before, deposed, nil
}

// leave takes a session off, if it drives.
func (f *fence) leave(sess *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == sess {
		f.current = nil
	}
}

// driving returns the session that drives, nil if none does.
func (f *fence) driving() *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// drives reports whether a session is the one that drives.
func (f *fence) drives(sess *session) bool { return f.driving() == sess }

// whileDriving calls begin, which doesn't block, with the epoch, unless the session no
// longer drives: none takes its place meanwhile.
func (f *fence) whileDriving(sess *session, begin func(epoch uint64) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != sess {
		return nil
	}
	return begin(f.epoch)
}
