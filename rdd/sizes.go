package rdd

import (
	"reflect"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// sizer estimates the memory that values of type T take, from the encodings of some.
type sizer[T any] struct {
	codec encoding.Codec[T] // nil if T can't be encoded: then what it refers to isn't known
	owner *lineage.Node     // whose encoder it is, nil where the task itself guards against its panics
	flat  int64             // of a T itself
	deep  bool              // a T refers to more memory
	seen  int64
	next  int64 // the value that is encoded next
	total int64 // encoded bytes of those that were
	count int64
	buf   []byte
}

//go:noinline
func newSizer[T any](codec encoding.Codec[T]) *sizer[T] {
	var v T
	return &sizer[T]{codec: codec, flat: int64(unsafe.Sizeof(v)), deep: codec != nil && encoding.Refers(reflect.TypeFor[T]())}
}

// sampleEvery is how many values are told apart by one encoding, once the first few were
// encoded.
const sampleEvery = 64

// of returns about how many bytes a value takes.
func (s *sizer[T]) of(v T) int64 {
	if !s.deep {
		return s.flat
	}
	if s.seen++; s.seen > s.next {
		s.next = s.seen + min(s.seen, sampleEvery)
		if n, err := s.exact(v); err == nil {
			s.total += n
			s.count++
		}
	}
	return s.flat + s.total/max(1, s.count)
}

// exact returns the bytes of a value's encoding.
func (s *sizer[T]) exact(v T) (n int64, err error) {
	if s.owner == nil {
		return s.encoded(v)
	}
	err = lineage.GuardOwn(s.owner, func() (err error) {
		n, err = s.encoded(v)
		return err
	})
	return n, err
}

func (s *sizer[T]) encoded(v T) (int64, error) {
	b, err := s.codec.Append(s.buf[:0], v)
	if s.buf = b; cap(b) > maxBlock {
		s.buf = nil
	}
	return int64(len(b)), err
}

// ledger reserves memory of a task in steps.
type ledger struct {
	memory task.Memory // nil for no limit
	slack  int64       // what may be used without being asked for, so that what is written when it is refused is worth a file
	used   int64
	held   int64
}

// reserveStep is the least that is asked for at once.
const reserveStep = 256 << 10

// charge accounts for n more bytes. It reports false if there is no memory for them.
func (l *ledger) charge(n int64) bool {
	l.used += n
	if l.memory == nil || l.used <= l.held {
		return true
	}
	step := max(l.used-l.held, reserveStep, l.held/8)
	if !l.memory.Grow(step) {
		return l.used <= l.slack
	}
	l.held += step
	return true
}

// set says how many bytes are used, and gives the others back.
func (l *ledger) set(used int64) {
	l.used = used
	if back := l.held - used; l.memory != nil && back > 0 {
		l.memory.Shrink(back)
		l.held = used
	}
}
