package remote

import "sync"

// signal wakes those who wait for a change of something. The zero value is ready for use.
//
// THREADING: mu guards it; no other lock is taken meanwhile.
type signal struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil if nobody waits for it
}

// next returns what is closed at the next change. It is asked for before the state is
// looked at.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// wake tells those who wait that there is a change.
func (s *signal) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
