package remote

import (
	"slices"
	"sync"
)

// holdings are the versions of models that an executor has answered for on its
// stream.
//
// THREADING: mu guards them; no other lock is taken meanwhile.
type holdings struct {
	mu      sync.Mutex
	wanted  []ModelVersion          // that the executor was told last to hold
	answers map[ModelVersion]string // why it can't load one, "" if it has
}

// begin takes the answers that an executor registers with.
func (s *holdings) begin(held []Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted, s.answers = nil, make(map[ModelVersion]string)
	for _, h := range held {
		s.answers[h.Version] = h.Failure
	}
}

// want says what the executor is to hold, as it is told when it comes.
func (s *holdings) want(versions []ModelVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = versions
}

// change is want when something else was wanted before: a version that isn't
// wanted any more is dropped, and one that couldn't be loaded is tried again.
func (s *holdings) change(versions []ModelVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = versions
	for v, failure := range s.answers {
		if failure != "" || !slices.Contains(versions, v) {
			delete(s.answers, v)
		}
	}
}

// answer takes the executor's answer.
func (s *holdings) answer(h Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.wanted, h.Version) {
		s.answers[h.Version] = h.Failure
	}
}

// of returns what the executor has answered for a version.
func (s *holdings) of(v ModelVersion) (failure string, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failure, answered = s.answers[v]
	return failure, answered
}
