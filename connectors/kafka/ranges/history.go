package ranges

import (
	"slices"
	"sync"
)

// history is what a Reader remembers of the partitions that it has read, of maxPartitions at most.
//
// THREADING: mu guards it; no other lock is taken meanwhile.
type history struct {
	mu       sync.Mutex
	sizes    map[partitionKey]sizes
	read     map[partitionKey]int64   // Until of the range that was read last
	expected map[partitionKey][]Range // to be prefetched when the range before each was read, oldest first
}

// maxPartitions bounds the partitions of which a Reader remembers something: topics come and go.
const maxPartitions = 1 << 16

// remember sets what is known of a partition. It makes room by forgetting another one, whichever:
// what is forgotten is learned anew when it is needed.
func remember[V any](known map[partitionKey]V, key partitionKey, v V) {
	if _, ok := known[key]; !ok && len(known) >= maxPartitions {
		for other := range known {
			delete(known, other)
			break
		}
	}
	known[key] = v
}

// maxExpected bounds the ranges of one partition that are expected: batches that
// wait. What is expected and never comes is another reader's.
const maxExpected = 4

func newHistory() *history {
	return &history{sizes: make(map[partitionKey]sizes), read: make(map[partitionKey]int64), expected: make(map[partitionKey][]Range)}
}

// estimate is how many bytes the rest of a stream takes, limit if unknown. The
// stream's holder calls it.
func (h *history) estimate(s *stream, limit int32) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sizes[s.key()].estimate(s, limit)
}

// rest is how many bytes the rest of a stream will take, 0 if unknown. Anybody may call it.
func (h *history) rest(s *stream) int64 {
	offsets := s.rest()
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(float64(offsets) * h.sizes[s.key()].perOffset)
}

// learn takes in what a response held of a partition from an offset on, and where it says that the
// partition ends.
func (h *history) learn(key partitionKey, sc scanned, from, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	z := h.sizes[key].learned(sc, sc.next-from)
	z.end = end
	remember(h.sizes, key, z)
}

// behind returns where a partition ended when something of it came last, and about how many bytes
// there were between a range and that.
func (h *history) behind(rg Range) (end, bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	z := h.sizes[partitionKey{rg.Topic, rg.Partition}]
	return z.end, int64(float64(z.end-rg.Until) * z.perOffset)
}

// goesOn reports whether a range begins where the one ended that was read last of its partition.
func (h *history) goesOn(rg Range) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.read[partitionKey{rg.Topic, rg.Partition}]
	return ok && until == rg.From
}

// ended notes that a range was read, and returns the one behind it if that is
// expected: nothing keeps it from being prefetched any more.
func (h *history) ended(rg Range) (next Range, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := partitionKey{rg.Topic, rg.Partition}
	remember(h.read, key, rg.Until)
	i := slices.IndexFunc(h.expected[key], func(e Range) bool { return e.From == rg.Until && e.TopicID == rg.TopicID })
	if i < 0 {
		return Range{}, false
	}
	next = h.expected[key][i]
	h.unexpect(key, next)
	return next, true
}

// passed reports whether a range that ends behind an offset was read.
func (h *history) passed(key partitionKey, offset int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read[key] > offset
}

// follows reports whether the range right before this one was the last that was
// read of its partition. If not, it is expected to be soon. Where a partition begins, the first
// range is taken to follow.
func (h *history) follows(rg Range, begins bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := partitionKey{rg.Topic, rg.Partition}
	until, ok := h.read[key]
	if !ok && begins {
		remember(h.read, key, rg.From)
		until, ok = rg.From, true
	}
	if ok && until == rg.From {
		return true
	}
	if es := h.expected[key]; !slices.Contains(es, rg) {
		remember(h.expected, key, append(es[max(0, len(es)+1-maxExpected):], rg))
	}
	return false
}

// forget notes that a range is no longer expected: it is read, here or elsewhere.
func (h *history) forget(rg Range) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unexpect(partitionKey{rg.Topic, rg.Partition}, rg)
}

// unexpect is called with mu held.
func (h *history) unexpect(key partitionKey, rg Range) {
	es := slices.DeleteFunc(h.expected[key], func(e Range) bool { return e == rg })
	if len(es) == 0 {
		delete(h.expected, key)
		return
	}
	h.expected[key] = es
}

// sizes are a partition's last sizes; they tell how much to ask for.
type sizes struct {
	perOffset float64
	largest   int   // batch
	end       int64 // of the partition
}

func (z sizes) estimate(s *stream, limit int32) int32 {
	if s.wants > 0 {
		return int32(s.wants)
	}
	if z.largest == 0 {
		return limit
	}
	want := float64(s.rg.Until-s.next)*z.perOffset*1.05 + float64(z.largest)
	return int32(min(want, float64(limit)))
}

func (z sizes) learned(sc scanned, offsets int64) sizes {
	z.perOffset = float64(sc.bytes) / float64(max(1, offsets))
	z.largest = max(sc.largest, z.largest-z.largest/8)
	return z
}
