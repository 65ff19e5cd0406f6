package block

import (
	"context"
	"sync"
)

// Budget says how many bytes of memory a process may hold. Some are kept by holders,
// who can give them up, the others belong to shares, which end with their tasks.
// It is safe for concurrent use.
//
// A share may grow as long as it stays below twice what the shares leave, kept bytes
// being as good as free. So a task that is alone may hold two thirds of the budget, two
// two fifths each, and there is always room for one that comes new: nobody waits for
// memory, so nobody waits for each other. Who holds much when others come is refused
// at its next step, spills, and starts with what is fair then.
type Budget struct {
	limit int64

	mu      sync.Mutex
	kept    int64 // by holders
	shared  int64 // by shares
	holders []Holder
}

// Holder keeps bytes of a budget that it can give up.
type Holder interface {
	// Evict gives up kept bytes, n at least if it can, until ctx ends. It returns
	// how many. Many may call it at once.
	Evict(ctx context.Context, n int64) int64
}

// Bounds of what a share is granted even if that is more than fair or than there is, so
// that what it spills is worth a file: at most floorShare of it, and over the
// limit by an overdraft'th at most.
const (
	mostFloor  = 1 << 20
	floorShare = 64
	overdraft  = 8
)

// NewBudget returns a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: max(0, limit)} }

// Register adds a holder, who is asked to give up what it keeps when the budget is full.
func (b *Budget) Register(h Holder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holders = append(b.holders, h)
}

// Limit returns the budget's bytes.
func (b *Budget) Limit() int64 { return b.limit }

// Used returns how many bytes are kept and shared.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept + b.shared
}

// Release gives kept bytes back.
func (b *Budget) Release(n int64) {
	b.mu.Lock()
	b.kept -= n
	b.mu.Unlock()
}

// evict asks the holders for n bytes and reports whether they gave up any.
func (b *Budget) evict(ctx context.Context, n int64) bool {
	b.mu.Lock()
	holders := b.holders
	b.mu.Unlock()
	var freed int64
	for _, h := range holders {
		if freed < n && ctx.Err() == nil {
			freed += h.Evict(ctx, n-freed)
		}
	}
	return freed > 0
}

// Share is the bytes of a budget that one task holds. One goroutine uses it.
type Share struct {
	b    *Budget
	held int64
}

// NewShare returns a share that holds nothing. Close gives back what it holds then.
func (b *Budget) NewShare() *Share { return &Share{b: b} }

// Held returns the bytes that the share holds.
func (s *Share) Held() int64 { return s.held }

// Grow takes n more bytes. It reports false if that would be more than fair, or if the
// budget is full and its holders have nothing to give up. They are asked until ctx ends.
func (s *Share) Grow(ctx context.Context, n int64) bool {
	for {
		granted, missing := s.take(n)
		switch {
		case granted:
			return true
		case missing == 0, ctx.Err() != nil:
			return false
		case !s.b.evict(ctx, missing):
			return s.overdraw(n)
		}
	}
}

// take is Grow without help: missing is how much the holders would have to give up.
func (s *Share) take(n int64) (granted bool, missing int64) {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.limit - b.shared - n
	if s.held+n > 2*left && s.held+n > b.floor() {
		return false, 0
	}
	if missing = b.kept + b.shared + n - b.limit; missing > 0 {
		return false, missing
	}
	s.add(n)
	return true, 0
}

// overdraw takes n bytes that there aren't, if they are few.
func (s *Share) overdraw(n int64) bool {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.held+n > b.floor() || b.kept+b.shared+n > b.limit+b.limit/overdraft {
		return false
	}
	s.add(n)
	return true
}

// floor is called with mu held, like add.
func (b *Budget) floor() int64 { return min(mostFloor, b.limit/floorShare) }

func (s *Share) add(n int64) {
	s.held += n
	s.b.shared += n
}

// Shrink gives n bytes back, or all that it holds if that is less.
func (s *Share) Shrink(n int64) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.add(-min(n, s.held))
}

// Keep makes n of the share's bytes, at most all, a holder's.
func (s *Share) Keep(n int64) int64 {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	n = min(n, s.held)
	s.add(-n)
	s.b.kept += n
	return n
}

// Close gives back what the share holds.
func (s *Share) Close() { s.Shrink(s.held) }
