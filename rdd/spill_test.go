package rdd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// smallMemory grants up to limit bytes and keeps runs in slices.
type smallMemory struct {
	limit, held int64
	made, open  int // runs
	failing     error
}

func (m *smallMemory) Grow(n int64) bool {
	if m.held+n > m.limit {
		return false
	}
	m.held += n
	return true
}

func (m *smallMemory) Shrink(n int64) { m.held -= n }

func (m *smallMemory) NewRun() (task.Run, error) {
	m.made++
	m.open++
	return &memoryRun{m: m}, m.failing
}

type memoryRun struct {
	m      *smallMemory
	frames [][]byte
	bytes  int64
}

func (r *memoryRun) Append(b []byte) error {
	r.frames, r.bytes = append(r.frames, slices.Clone(b)), r.bytes+int64(len(b))
	return nil
}
func (r *memoryRun) Bytes() int64                  { return r.bytes }
func (r *memoryRun) Finish() error                 { return nil }
func (r *memoryRun) Open() (task.RunReader, error) { return &memoryReader{r.frames}, nil }
func (r *memoryRun) Remove()                       { r.m.open-- }

type memoryReader struct{ frames [][]byte }

func (r *memoryReader) Next() ([]byte, error) {
	if len(r.frames) == 0 {
		return nil, io.EOF
	}
	b := r.frames[0]
	r.frames = r.frames[1:]
	return b, nil
}
func (r *memoryReader) Close() error { return nil }

func taskWith(t *testing.T, m task.Memory) *task.Context {
	return &task.Context{Context: t.Context(), Memory: m}
}

// What is sorted or combined in runs comes out as if it had been done in memory.
func TestSpilledIsAsInMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var rows []Pair[string, int]
	for i := range 60_000 {
		rows = append(rows, KV(fmt.Sprintf("key-%d", rng.IntN(9_000)), i))
	}
	codec, err := newPairCodec[string, int]()
	if err != nil {
		t.Fatal(err)
	}
	lists, err := newPairCodec[string, []int]()
	if err != nil {
		t.Fatal(err)
	}
	byKey := orderBy(natural[string](), func(p Pair[string, int]) string { return p.Key })
	group := aggregator[int, []int]{
		func(v int) []int { return []int{v} },
		func(c []int, v int) []int { return append(c, v) },
		func(a, b []int) []int { return append(a, b...) },
	}
	sum := aggregator[int, int]{func(v int) int { return v }, func(a, b int) int { return a + b }, func(a, b int) int { return a + b }}
	for name, run := range map[string]func(tc *task.Context) (string, error){
		"sorted": func(tc *task.Context) (string, error) { return text(sortRows(tc, codec, byKey, Elements(tc, rows))) },
		"summed": func(tc *task.Context) (string, error) {
			return text(combined(tc, codec, codec.value, sum, Elements(tc, rows)))
		},
		"grouped": func(tc *task.Context) (string, error) {
			return text(combined(tc, lists, codec.value, group, Elements(tc, rows)))
		},
	} {
		want, err := run(taskWith(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int64{reserveStep + 1, 600_000} {
			m := &smallMemory{limit: limit}
			got, err := run(taskWith(t, m))
			if err != nil || got != want {
				t.Errorf("%s with %d bytes differs: %v", name, limit, err)
			}
			if m.made < 2 || m.open != 0 || m.held != 0 {
				t.Errorf("%s with %d bytes: %d runs made, %d left, %d bytes held", name, limit, m.made, m.open, m.held)
			}
		}
	}
}

func text[T any](in iter.Seq2[T, error]) (string, error) {
	rows, err := collect(in)
	return fmt.Sprint(rows), err
}

// Many runs are merged in levels, and equal records keep their order.
func TestRunsAreMergedInLevels(t *testing.T) {
	m := &smallMemory{limit: 1 << 20}
	tc := taskWith(t, m)
	codec, err := encoding.For[[2]int]()
	if err != nil {
		t.Fatal(err)
	}
	first := func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) }
	s := runSet[[2]int]{tc: tc, codec: codec, by: order[[2]int]{compare: first}}
	var want [][2]int
	for i := range 5*mergeWidth + 3 {
		v := [2]int{i % 7, i}
		want = append(want, v)
		if err := s.add(Elements(tc, [][2]int{v})); err != nil {
			t.Fatal(err)
		}
		if len(s.runs) > mergeWidth+5 {
			t.Fatalf("%d runs are open", len(s.runs))
		}
	}
	slices.SortStableFunc(want, first)
	got, err := collect(s.merged())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: not in order", err)
	}
	if s.close(); m.open != 0 {
		t.Errorf("%d runs are left", m.open)
	}
}

// A run that can't be written is the operator's error.
func TestSpillingFails(t *testing.T) {
	full := errors.New("the disk is full")
	tc := taskWith(t, &smallMemory{failing: full})
	codec, err := encoding.For[string]()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := text(sortRows(tc, codec, natural[string](), Elements(tc, make([]string, 40_000)))); !errors.Is(err, full) {
		t.Error(err)
	}
}

// FuzzSpilledPair: what isn't a spilled pair is an error.
func FuzzSpilledPair(f *testing.F) {
	good, _ := spilledCodec{}.Append(nil, spilledPair{1, 2, []byte("key"), []byte("pair")})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := spilledCodec{}.Decode(b)
		if err != nil {
			return
		}
		again, err := spilledCodec{}.Append(nil, s)
		back, _, err2 := spilledCodec{}.Decode(again)
		if err != nil || err2 != nil || back.hash != s.hash || string(back.pair) != string(s.pair) || len(rest) > len(b) {
			t.Errorf("%v, %v", err, err2)
		}
	})
}

// What a map task has for the reading side is in its memory's books: with little, blocks
// are handed on before they are full, in the same order.
func TestBlocksAreChargedFor(t *testing.T) {
	codec, err := encoding.For[int]()
	if err != nil {
		t.Fatal(err)
	}
	m := &smallMemory{limit: 2 * reserveStep}
	var w countedBlocks
	b := &blocks[int]{codec, &outgoing{w: &w, bufs: make([][]byte, 64), ledger: ledger{memory: m, slack: reserveStep}}}
	const n = 400_000
	for i := range n {
		if err := b.add(i%64, i); err != nil {
			t.Fatal(err)
		}
	}
	if w.blocks < 64 {
		t.Errorf("%d blocks were handed on", w.blocks)
	}
	if err := b.out.flush(); err != nil || w.bytes < 3*n || m.held != 0 {
		t.Errorf("%d bytes, %d held: %v", w.bytes, m.held, err)
	}
}

// countedBlocks counts what is written.
type countedBlocks struct{ blocks, bytes int }

func (w *countedBlocks) WriteBlock(_ int, block []byte) error {
	w.blocks, w.bytes = w.blocks+1, w.bytes+len(block)
	return nil
}
