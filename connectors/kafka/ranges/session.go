package ranges

import "math"

// session is what a broker remembers of a watcher's polls (KIP-227): a poll names the partitions
// alone that aren't polled as the one before did, and its answer those alone of which there is news.
// A broker may end a session, and then knows it no more; one that has too many gives none.
// Sessions that nobody goes on with brokers end by themselves.
//
// THREADING: it is its watcher's goroutine's.
type session struct {
	id    int32                    // that the broker gave, 0 before
	epoch int32                    // of the next poll; 0 names all partitions, begins a session and ends that of id
	asked map[partitionKey]watched // as the broker remembers them
	ends  map[partitionKey]int64   // where they end, as it told last; none of those of which it told an error
}

// ask returns which of the partitions the next poll names. What the broker remembers and isn't
// among them any more begins a session anew.
func (s *session) ask(parts []watched) (named []watched) {
	if s.epoch > 0 && s.keeps(parts) < len(s.asked) {
		s.reset()
	}
	if s.epoch == 0 {
		s.asked, s.ends = make(map[partitionKey]watched, len(parts)), make(map[partitionKey]int64, len(parts))
	}
	for _, p := range parts {
		key := partitionKey{p.topic, p.partition}
		if was, ok := s.asked[key]; !ok || was.grown != p.grown || was.epoch != p.epoch {
			s.asked[key] = p
			named = append(named, p)
		}
	}
	return named
}

// keeps returns how many of the partitions the broker remembers.
func (s *session) keeps(parts []watched) (n int) {
	for _, p := range parts {
		if was, ok := s.asked[partitionKey{p.topic, p.partition}]; ok && was.id == p.id {
			n++
		}
	}
	return n
}

// answered takes the id that an answer has, 0 if there is no session.
func (s *session) answered(id int32) {
	switch s.id = id; {
	case id == 0:
		s.reset()
	case s.epoch == math.MaxInt32:
		s.epoch = 1
	default:
		s.epoch++
	}
}

// reset makes the next poll name all partitions.
func (s *session) reset() { s.epoch = 0 }

// begun reports whether the next poll goes on with a session.
func (s *session) begun() bool { return s.epoch > 0 }
