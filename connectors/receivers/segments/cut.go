package segments

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// Position is a place between two records.
type Position struct {
	Record  int64 // number of the record behind it
	Segment int64 // of the segment in which it is: the number of its first record
	Byte    int64 // of the segment
}

// Part is a stretch of a segment.
type Part struct {
	Segment     int64
	From, Until int64 // bytes
	Records     int64
}

// Begin returns the place before the first record that is there.
func (l *Log) Begin() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.segments[0].first
	return Position{first, first, int64(len(head))}
}

// Cut returns about so many parts that hold the records behind a position, about as many as are
// asked for, 0 for all, the position behind them, and how many more there are.
func (l *Log) Cut(from Position, records float64, parts int) (cut []Part, until Position, left int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.find(from.Segment)
	if !ok { // it is deleted when all of it was read
		if i, ok = l.find(from.Record); ok {
			from = Position{from.Record, from.Record, int64(len(head))}
		}
	}
	if !ok {
		return nil, from, 0, fmt.Errorf("%w: %s isn't there, whose records from %d on weren't read", ErrDamaged, l.path(from.Segment), from.Record)
	}
	if end := l.segments[i].end(); end.bytes < from.Byte || end.record < from.Record {
		return nil, from, 0, fmt.Errorf("%w: %s ends at byte %d, and batches were planned up to byte %d", ErrDamaged, l.path(from.Segment), end.bytes, from.Byte)
	}
	until = from
	for _, s := range l.segments[i:] {
		if s.first != until.Segment {
			until = Position{s.first, s.first, int64(len(head))}
		}
		for _, m := range s.ends {
			if m.bytes <= until.Byte {
				continue
			}
			if len(cut) > 0 && records > 0 && float64(m.record-from.Record) > records {
				return merged(cut, parts), until, l.last().end().record - until.Record, nil
			}
			cut = append(cut, Part{s.first, until.Byte, m.bytes, m.record - until.Record})
			until = Position{m.record, s.first, m.bytes}
		}
	}
	return merged(cut, parts), until, 0, nil
}

// find returns the index of the segment that begins with a record.
func (l *Log) find(first int64) (i int, ok bool) {
	return slices.BinarySearchFunc(l.segments, first, func(s *segment, first int64) int { return cmp.Compare(s.first, first) })
}

// merged joins neighbours, so that there are about so many parts.
func merged(cut []Part, parts int) (joined []Part) {
	var total int64
	for _, p := range cut {
		total += p.Records
	}
	most := (total + int64(parts) - 1) / int64(parts)
	for _, p := range cut {
		if n := len(joined); n > 0 && joined[n-1].Segment == p.Segment && joined[n-1].Records+p.Records <= most {
			joined[n-1].Until, joined[n-1].Records = p.Until, joined[n-1].Records+p.Records
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// frameHead is how many bytes a frame has beside its payload.
const frameHead = frame.HeaderSize

// Read yields the records of a part of the log in a directory. They are never changed.
func Read(dir string, p Part) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		f, err := os.Open(segmentPath(dir, p.Segment))
		if err != nil {
			yield(nil, fmt.Errorf("opening a segment: %w", err))
			return
		}
		defer func() { _ = f.Close() }() // all that was wanted is read
		r := bufio.NewReaderSize(io.NewSectionReader(f, p.From, p.Until-p.From), stretch)
		readFrames(r, f.Name(), p.From, p.Until, p.Records)(yield)
	}
}
