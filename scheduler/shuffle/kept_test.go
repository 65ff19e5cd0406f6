package shuffle

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// random returns bytes that don't shrink.
func random(n int) []byte {
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Large blocks take less memory if they can, and every block comes back as it was, also if
// who wrote it uses its bytes again.
func TestBlocksAreCompressedInMemory(t *testing.T) {
	id := MapID{Batch: 1}
	for name, c := range map[string]struct {
		block []byte
		most  int64 // memory
	}{
		"small":              {content(id, 0, leastPacked-1), leastPacked - 1},
		"large":              {content(id, 0, leastPacked), leastPacked / 4},
		"of several pieces":  {content(id, 0, 2*block.PieceSize+1), block.PieceSize / 4},
		"that don't shrink":  {random(leastPacked), leastPacked},
		"that shrink little": {append(random(2*block.PieceSize), content(id, 0, block.PieceSize)...), 3 * block.PieceSize},
	} {
		s := newStore(t, 1<<30)
		w := s.Writer(t.Context(), id, 1)
		for range 2 {
			b := bytes.Clone(c.block)
			if err := w.WriteBlock(0, b); err != nil {
				t.Fatal(err)
			}
			clear(b)
		}
		if small := w.Small(); small != nil {
			t.Errorf("%s: %d bytes go along", name, len(small))
		}
		sizes, err := w.Commit()
		if err != nil || len(sizes) != 1 || sizes[0] != 2*int64(len(c.block)) {
			t.Errorf("%s: sizes %v: %v", name, sizes, err)
		}
		if got := s.bytes(); got > 2*c.most {
			t.Errorf("%s: two blocks of %d bytes take %d, not at most %d", name, len(c.block), got, 2*c.most)
		}
		n := 0
		for b, err := range s.Blocks(id, 0) {
			if n++; err != nil || !bytes.Equal(b, c.block) {
				t.Errorf("%s: block %d is of %d bytes, or others: %v", name, n, len(b), err)
			}
		}
		if got := sent(t, s, id, 0); n != 2 || !bytes.Equal(got, append(bytes.Clone(c.block), c.block...)) {
			t.Errorf("%s: %d blocks; %d bytes are sent, or others", name, n, len(got))
		}
	}
}

// What is compressed in memory goes to disk as it is.
func TestCompressedBlocksGoToDisk(t *testing.T) {
	const limit = 1 << 20
	s, _ := spillable(t, limit)
	want := random(block.PieceSize)
	shrinks := content(MapID{Batch: 1}, 0, 2*block.PieceSize)
	for m := range int32(5) {
		w := s.Writer(t.Context(), MapID{Batch: 1, Map: m}, 1)
		for _, b := range [][]byte{shrinks, want} {
			if err := w.WriteBlock(0, b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if got := where(s, 1, 0, 4); got != "disk memory" || s.bytes() > limit {
		t.Errorf("%s; %d bytes in memory", got, s.bytes())
	}
	for m := range int32(5) {
		id, all := MapID{Batch: 1, Map: m}, append(bytes.Clone(shrinks), want...)
		var got []byte
		for b, err := range s.Blocks(id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, all) || !bytes.Equal(sent(t, s, id, 0), all) {
			t.Errorf("map task %d: %d bytes of %d, or others", m, len(got), len(all))
		}
	}
}

// After a large block that doesn't shrink some aren't tried, and then they are again.
func TestWhatDoesNotShrinkIsTriedAgain(t *testing.T) {
	var k keeper
	if b := k.keep(random(leastPacked)); b.packed != nil {
		t.Error("random bytes are compressed")
	}
	shrinks := content(MapID{}, 0, leastPacked)
	for i := range untried {
		if b := k.keep(shrinks); b.packed != nil {
			t.Errorf("block %d was tried", i)
		}
	}
	for range 2 {
		if b := k.keep(shrinks); b.packed == nil {
			t.Error("it isn't tried again")
		}
	}
}
