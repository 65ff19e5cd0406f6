package rdd

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"reflect"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// combineTable combines values by key. When the task is refused more memory it writes
// what it holds to a run and begins anew.
//
// Runs are ordered by the hash of the key's encoding and then by that encoding, so that
// they can be merged whatever type keys have. What is merged is sorted once more, by the
// order in which the keys came: a table that was spilled yields its pairs in the same
// order as one that wasn't.
type combineTable[K comparable, C any] struct {
	tc     *task.Context
	codec  pairCodec[K, C]
	join   func(C, C) C
	ledger ledger
	exact  int64 // bytes that the table took when it was last measured

	acc   *combiners[K, C]
	came  uint64 // keys of the tables before this one
	buf   []byte // of an encoded pair
	runs  runSet[spilledPair]
	pairs *sizer[Pair[K, C]]
	added int64 // values in acc
	grows bool  // a combined value may take more memory with each value that goes into it

	early   func(Pair[K, C], error) bool // if set, what takes pairs before all are combined
	stopped bool                         // it wants no more
}

//go:noinline
func newCombineTable[K comparable, C any](tc *task.Context, codec pairCodec[K, C], join func(C, C) C) *combineTable[K, C] {
	return &combineTable[K, C]{
		tc: tc, codec: codec, join: join, pairs: newSizer(codec), grows: encoding.Refers(reflect.TypeFor[C]()),
		ledger: ledger{memory: tc.Memory, slack: reserveStep}, acc: pooledCombiners[K, C](tc.Process, codec.key),
		runs: runSet[spilledPair]{tc: tc, codec: spilledCodec{}, by: order[spilledPair]{compare: compareByHash}},
	}
}

// perKey is about what a key takes in a table beside its pair: its entry in the index and
// what slices hold in reserve.
const perKey = 48

// combining returns what combines the pairs of a sequence with those in a table: add adds
// a value to what its key has, which is the zero value for a new key. Without a codec of
// the values their size is that of their type.
func combining[K comparable, V, C any](values encoding.Codec[V], in iter.Seq2[Pair[K, V], error], add func(c *C, isNew bool, v V) error) func(*combineTable[K, C]) error {
	return func(t *combineTable[K, C]) (failed error) {
		size := newSizer(values)
		in(func(kv Pair[K, V], err error) bool {
			if err != nil {
				failed = err
				return false
			}
			c, isNew := t.acc.slot(kv.Key)
			if err := add(c, isNew, kv.Value); err != nil {
				failed = err
				return false
			}
			if t.added++; isNew && t.early != nil && t.savesLittle() && !t.yieldEarly() {
				return false
			}
			if t.ledger.memory == nil {
				return true
			}
			var grown int64
			switch {
			case isNew:
				grown = perKey + t.pairs.of(Pair[K, C]{kv.Key, *c})
			case t.grows: // the combined value may hold on to the value
				grown = size.of(kv.Value)
			}
			if !t.ledger.charge(grown) {
				failed = t.full()
			}
			return failed == nil
		})
		return failed
	}
}

// Which tables are large and save little: those of so many keys, and of fewer values of a
// key.
const (
	largeTable = 1 << 15
	fewValues  = 4
)

// savesLittle reports whether the table isn't worth its size. What went to runs is yielded
// at the end, in order, and so is all that came later.
func (t *combineTable[K, C]) savesLittle() bool {
	keys := len(t.acc.pairs)
	return keys >= largeTable && t.added < fewValues*int64(keys) && len(t.runs.runs) == 0
}

// yieldEarly yields what the table holds and empties it. It reports whether more is wanted.
func (t *combineTable[K, C]) yieldEarly() bool {
	t.stopped = !each(t.tc, t.acc.pairs, t.early)
	t.came += uint64(len(t.acc.pairs))
	t.acc.reset()
	t.exact, t.added = 0, 0
	t.ledger.set(0)
	return !t.stopped
}

// full is called when there is no memory for what is charged. What combined values really
// take isn't known from those that went into them: it is measured, unless it was already
// and can't be much less now.
func (t *combineTable[K, C]) full() error {
	if t.grows && t.ledger.used > 2*t.exact {
		t.exact = 0
		for _, p := range t.acc.pairs {
			n, err := t.pairs.exact(p)
			if err != nil {
				return err
			}
			t.exact += perKey + t.pairs.flat + n
		}
		if t.exact < t.ledger.held/2 {
			t.ledger.set(t.exact)
			return nil
		}
	}
	return t.spill()
}

// spill writes the table to a run.
func (t *combineTable[K, C]) spill() error {
	rows, err := t.byHash()
	if err == nil {
		err = t.runs.add(rows)
	}
	if err != nil {
		return err
	}
	t.came += uint64(len(t.acc.pairs))
	t.acc = newCombiners[K, C](t.codec.key)
	t.exact, t.added = 0, 0
	t.ledger.set(0)
	return nil
}

// byHash yields the table's pairs in the order of a run. What it yields is valid until the
// next one.
func (t *combineTable[K, C]) byHash() (iter.Seq2[spilledPair, error], error) {
	order := make([]spilledPair, len(t.acc.pairs))
	for i, p := range t.acc.pairs {
		key, err := t.codec.key.Append(nil, p.Key)
		if err != nil {
			return nil, err
		}
		order[i] = spilledPair{hash: fnv1a(key), came: uint64(i), key: key}
	}
	slices.SortFunc(order, compareByHash)
	return func(yield func(spilledPair, error) bool) {
		for _, s := range order {
			var err error
			if s.pair, err = t.codec.Append(t.buf[:0], t.acc.pairs[s.came]); ends(yield, err) {
				return
			}
			t.buf = s.pair
			s.came += t.came
			if !yield(s, nil) {
				return
			}
		}
	}, nil
}

// rows yields the combined pairs.
func (t *combineTable[K, C]) rows() iter.Seq2[Pair[K, C], error] {
	if len(t.runs.runs) == 0 {
		return Elements(t.tc, t.acc.pairs)
	}
	if err := t.spill(); err != nil {
		return func(yield func(Pair[K, C], error) bool) { ends(yield, err) }
	}
	byHash := t.joined(t.runs.merged())
	inOrder := sortRows(t.tc, spilledCodec{}, orderBy(natural[uint64](), func(s spilledPair) uint64 { return s.came }), byHash)
	return func(yield func(Pair[K, C], error) bool) {
		inOrder(func(s spilledPair, err error) bool {
			if ends(yield, err) {
				return false
			}
			p, _, err := t.codec.Decode(s.pair)
			return !ends(yield, err) && yield(p, nil)
		})
	}
}

// joined joins the values of equal keys, which follow each other.
func (t *combineTable[K, C]) joined(in iter.Seq2[spilledPair, error]) iter.Seq2[spilledPair, error] {
	return func(yield func(spilledPair, error) bool) {
		j := keyJoiner[K, C]{t: t}
		more := true
		in(func(s spilledPair, err error) bool {
			if more = !ends(yield, err); !more {
				return false
			}
			done, ok, err := j.next(s)
			more = !ends(yield, err) && (!ok || yield(done, nil))
			return more
		})
		if !more {
			return
		}
		if done, ok, err := j.take(); !ends(yield, err) && ok {
			yield(done, nil)
		}
	}
}

// keyJoiner joins the pairs of one key.
type keyJoiner[K comparable, C any] struct {
	t      *combineTable[K, C]
	last   spilledPair
	any    bool
	value  Pair[K, C] // decoded, if more than one was joined
	joined bool
}

// next adds a pair. If it is of another key than those before it returns what they were
// joined to.
func (j *keyJoiner[K, C]) next(s spilledPair) (done spilledPair, ok bool, err error) {
	if !j.any || !bytes.Equal(j.last.key, s.key) {
		if done, ok, err = j.take(); err == nil {
			j.last, j.any = s, true
		}
		return done, ok, err
	}
	if !j.joined {
		if j.value, _, err = j.t.codec.Decode(j.last.pair); err != nil {
			return done, false, err
		}
	}
	p, _, err := j.t.codec.Decode(s.pair)
	if err != nil {
		return done, false, err
	}
	j.value.Value = j.t.join(j.value.Value, p.Value)
	j.joined, j.last.came = true, min(j.last.came, s.came)
	return done, false, nil
}

// take returns what was joined since the last one; ok is false if nothing was. It is in
// memory of its own, without the key's encoding: the frame that it was read from would be
// held on to for as long as the pair is.
func (j *keyJoiner[K, C]) take() (done spilledPair, ok bool, err error) {
	if !j.any {
		return done, false, nil
	}
	pair := j.last.pair
	if j.joined {
		pair, err = j.t.codec.Append(j.t.buf[:0], j.value)
		j.t.buf = pair
	}
	done = spilledPair{hash: j.last.hash, came: j.last.came, pair: bytes.Clone(pair)}
	*j = keyJoiner[K, C]{t: j.t}
	return done, err == nil, err
}

// close drops what is held.
func (t *combineTable[K, C]) close() {
	t.runs.close()
	t.ledger.set(0)
	t.acc.giveBack(t.tc.Process)
	t.acc = nil
}

// spilledPair is an encoded pair in a run.
type spilledPair struct {
	hash uint64
	came uint64 // which key it was, in the order in which they came
	key  []byte // encoding of the key
	pair []byte // encoding of the pair
}

func compareByHash(a, b spilledPair) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return bytes.Compare(a.key, b.key)
}

// spilledCodec writes the numbers, then the two encodings behind their lengths.
type spilledCodec struct{}

func (spilledCodec) Append(dst []byte, s spilledPair) ([]byte, error) {
	dst = binary.LittleEndian.AppendUint64(dst, s.hash)
	dst = binary.AppendUvarint(dst, s.came)
	dst = append(binary.AppendUvarint(dst, uint64(len(s.key))), s.key...)
	return append(binary.AppendUvarint(dst, uint64(len(s.pair))), s.pair...), nil
}

func (spilledCodec) Decode(src []byte) (s spilledPair, rest []byte, err error) {
	if len(src) < 8 {
		return s, nil, encoding.ErrCorrupt
	}
	s.hash, rest = binary.LittleEndian.Uint64(src), src[8:]
	var n int
	if s.came, n = binary.Uvarint(rest); n <= 0 {
		return s, nil, encoding.ErrCorrupt
	}
	if s.key, rest, err = cutBytes(rest[n:]); err == nil {
		s.pair, rest, err = cutBytes(rest)
	}
	return s, rest, err
}

// cutBytes returns the bytes behind their length, and what follows.
func cutBytes(src []byte) (b, rest []byte, err error) {
	length, n := binary.Uvarint(src)
	if n <= 0 || length > uint64(len(src)-n) {
		return nil, nil, encoding.ErrCorrupt
	}
	return src[n : n+int(length) : n+int(length)], src[n+int(length):], nil
}
