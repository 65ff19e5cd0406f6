package files

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine"
)

// ranges are a stream's share of a batch: the files that it reads, and what is known of those
// that were read up to and with it.
type ranges struct {
	files  []file
	read   map[id]int64 // modification times of files that are remembered
	before int64        // unknown files that were modified before count as read
	passed int64        // how many of these there were in the directory
	total  int64        // files that were read
}

// file is a file of a batch.
type file struct {
	name string // below the directory
	size int64
}

// rangesFormat is the version of the ranges' encoding in an allocation.
const rangesFormat = 1

// encodedRanges is how ranges lie in an allocation.
type encodedRanges struct {
	Format int      `msgpack:"v"`
	Names  []string `msgpack:"f,omitempty"`
	Sizes  []int64  `msgpack:"s,omitempty"`
	Read   []byte   `msgpack:"r,omitempty"` // for each file its time, as a difference to that before, and its id
	Before int64    `msgpack:"b,omitempty"`
	Passed int64    `msgpack:"p,omitempty"`
	Total  int64    `msgpack:"n"`
}

// idBytes is the length of an id.
const idBytes = 8

// encodeRanges writes ranges: the same ones always alike.
func encodeRanges(r ranges) ([]byte, error) {
	e := encodedRanges{Format: rangesFormat, Before: r.before, Passed: r.passed, Total: r.total}
	for _, f := range r.files {
		e.Names, e.Sizes = append(e.Names, f.name), append(e.Sizes, f.size)
	}
	last := int64(0)
	for _, i := range byTime(r.read) {
		e.Read = binary.AppendVarint(e.Read, r.read[i]-last)
		e.Read = binary.BigEndian.AppendUint64(e.Read, uint64(i))
		last = r.read[i]
	}
	b, err := msgpack.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encoding a list of files: %w", err)
	}
	return b, nil
}

// byTime returns the ids of files, those modified first before others.
func byTime(read map[id]int64) []id {
	return slices.SortedFunc(maps.Keys(read), func(a, b id) int { return cmp.Or(cmp.Compare(read[a], read[b]), cmp.Compare(a, b)) })
}

// decodeRanges reads the ranges that encodeRanges wrote; nothing is no ranges.
func decodeRanges(b []byte) (ranges, error) {
	if len(b) == 0 {
		return ranges{read: make(map[id]int64)}, nil
	}
	e, err := decode(b)
	if err != nil {
		return ranges{}, err
	}
	r := ranges{files: e.files(), read: make(map[id]int64), before: e.Before, passed: e.Passed, total: e.Total}
	last := int64(0)
	for rest := e.Read; len(rest) > 0; {
		since, n := binary.Varint(rest)
		if n <= 0 || len(rest) < n+idBytes {
			return ranges{}, fmt.Errorf("%w: a list of files that were read is cut short", engine.ErrCorruptLog)
		}
		last += since
		r.read[id(binary.BigEndian.Uint64(rest[n:]))] = last
		rest = rest[n+idBytes:]
	}
	return r, nil
}

// decode reads ranges without what is remembered of files, which only the driver asks for.
func decode(b []byte) (e encodedRanges, err error) {
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("%w: a list of files: %w", engine.ErrCorruptLog, err)
	}
	if e.Format != rangesFormat {
		return e, fmt.Errorf("%w: a list of files of format %d, this program knows %d", engine.ErrFormat, e.Format, rangesFormat)
	}
	if len(e.Names) != len(e.Sizes) {
		return e, fmt.Errorf("%w: a list of %d files with %d sizes", engine.ErrCorruptLog, len(e.Names), len(e.Sizes))
	}
	return e, nil
}

// files returns the files of the batch.
func (e *encodedRanges) files() (list []file) {
	for i, name := range e.Names {
		list = append(list, file{name, e.Sizes[i]})
	}
	return list
}
