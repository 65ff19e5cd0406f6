package shuffle

import (
	"iter"
	"sync/atomic"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// output is what one attempt committed, in memory or on disk. It never changes.
type output interface {
	block.Value
	// reduces returns the number of reduce partitions.
	reduces() int
	// blocks yields the blocks for a reduce partition in the order written.
	blocks(reduce int) iter.Seq2[[]byte, error]
	// pieces yields them as they are sent.
	pieces(reduce int) iter.Seq2[Piece, error]
}

// Piece is a block or a part of one, at most block.PieceSize of its bytes.
type Piece struct {
	block.Frame
	More bool // the block goes on in the next piece
}

// index says where each reduce partition begins in a list of blocks that is in their
// order, and where the last one ends.
type index []int32

func (x index) reduces() int { return len(x) - 1 }

// memoryOutput is an output in memory.
type memoryOutput struct {
	index
	all    []kept // by reduce partition, then in the order written
	size   int64
	disk   *block.Disk
	unread unread
}

// unread notes which reduce partitions of an output nobody has read to their ends.
type unread struct {
	read []atomic.Uint64 // bits of those that were
	left atomic.Int32
}

// of notes all partitions that have blocks: others aren't read.
func (u *unread) of(x index) {
	u.read = make([]atomic.Uint64, (x.reduces()+63)/64)
	for r := range x.reduces() {
		if x[r] < x[r+1] {
			u.left.Add(1)
		}
	}
}

// done notes that a partition was read. It reports whether it was the last.
func (u *unread) done(reduce int) bool {
	bit := uint64(1) << (reduce % 64)
	return u.read[reduce/64].Or(bit)&bit == 0 && u.left.Add(-1) == 0
}

func (o *memoryOutput) Bytes() int64 { return o.size }
func (o *memoryOutput) Discard()     {}

func (o *memoryOutput) blocks(reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, k := range o.all[o.index[reduce]:o.index[reduce+1]] {
			if b, err := k.load(); !yield(b, err) || err != nil {
				return
			}
		}
	}
}

func (o *memoryOutput) pieces(reduce int) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		var scratch []byte
		for _, k := range o.all[o.index[reduce]:o.index[reduce+1]] {
			for p := range k.pieces(&scratch) {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// Spill writes the blocks to a file.
func (o *memoryOutput) Spill() (block.Value, error) {
	f, err := o.disk.NewFile()
	if err != nil {
		return nil, err
	}
	d := &diskOutput{index: o.index, file: f, places: make([]place, len(o.all))}
	for i, k := range o.all {
		if d.places[i], err = k.appendTo(f); err != nil {
			f.Remove()
			return nil, err
		}
	}
	if err := f.Finish(); err != nil {
		f.Remove()
		return nil, err
	}
	return d, nil
}

// place is where a block is in a file, and its length.
type place struct {
	at, end int64
	n       int
}

// diskOutput is an output in a file.
type diskOutput struct {
	index
	file   *block.File
	places []place // in the order of the index, not always in that of the file
}

func (o *diskOutput) Bytes() int64                { return 0 }
func (o *diskOutput) Discard()                    { o.file.Remove() }
func (o *diskOutput) Spill() (block.Value, error) { return o, nil }

func (o *diskOutput) blocks(reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		o.read(reduce, func(in *block.Frames, p place) bool {
			b, err := in.Load(p.end-p.at, p.n)
			return yield(b, err) && err == nil
		}, func(err error) { yield(nil, err) })
	}
}

func (o *diskOutput) pieces(reduce int) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		o.read(reduce, func(in *block.Frames, p place) bool {
			for stored := p.end - p.at; stored > 0; {
				f, err := in.Next()
				if err == nil {
					err = f.Check()
				}
				stored -= f.Stored()
				if !yield(Piece{f, stored > 0}, err) || err != nil {
					return false
				}
			}
			return true
		}, func(err error) { yield(Piece{}, err) })
	}
}

// read calls each for the blocks of a reduce partition, with frames that begin with the
// block's, as long as it returns true. What is in a row in the file is read in a row.
func (o *diskOutput) read(reduce int, each func(*block.Frames, place) bool, fail func(error)) {
	row := func(places []place) (more bool) {
		in, err := o.file.Read(places[0].at, places[len(places)-1].end)
		if err != nil {
			fail(err)
			return false
		}
		defer in.Close()
		for _, p := range places {
			if !each(in, p) {
				return false
			}
		}
		return true
	}
	places := o.places[o.index[reduce]:o.index[reduce+1]]
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].at == places[n-1].end {
			n++
		}
		if !row(places[:n]) {
			return
		}
		places = places[n:]
	}
}
