package ranges

import "sync"

// history is what a Reader remembers of the partitions that it has read.
//
// THREADING: mu guards it; no other lock is taken meanwhile.
type history struct {
	mu    sync.Mutex
	sizes map[partitionKey]sizes
	read  map[partitionKey]int64 // Until of the range that was read last
}

func newHistory() *history {
	return &history{sizes: make(map[partitionKey]sizes), read: make(map[partitionKey]int64)}
}

// estimate is how many bytes the rest of a stream takes, limit if unknown. The
// stream's holder calls it.
func (h *history) estimate(s *stream, limit int32) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sizes[s.key()].estimate(s, limit)
}

// learn takes in what a response held of a partition from an offset on.
func (h *history) learn(key partitionKey, sc scanned, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sizes[key] = h.sizes[key].learned(sc, sc.next-from)
}

// ended notes that a range was read.
func (h *history) ended(rg Range) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read[partitionKey{rg.Topic, rg.Partition}] = rg.Until
}

// follows reports whether the range right before this one was the last that was
// read of its partition.
func (h *history) follows(rg Range) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.read[partitionKey{rg.Topic, rg.Partition}]
	return ok && until == rg.From
}

// sizes are a partition's last sizes; they tell how much to ask for.
type sizes struct {
	perOffset float64
	largest   int // batch
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
