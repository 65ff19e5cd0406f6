package receivers

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
)

// ranges are a stream's share of a batch.
type ranges struct {
	dir   string // of the log, if it is a temporary one
	parts []segments.Part
	from  int64 // number of the first record
	until segments.Position
}

// rangesFormat is the version of the ranges' encoding in an allocation.
const rangesFormat = 1

// encodedRanges is how ranges lie in an allocation.
type encodedRanges struct {
	Format int        `msgpack:"v"`
	Dir    string     `msgpack:"d,omitempty"`
	Parts  [][4]int64 `msgpack:"p,omitempty"` // segment, from and until which byte, records
	From   int64      `msgpack:"f"`
	Until  [3]int64   `msgpack:"u"` // record, segment, byte
}

func encodeRanges(r ranges) ([]byte, error) {
	e := encodedRanges{Format: rangesFormat, Dir: r.dir, From: r.from, Until: [3]int64{r.until.Record, r.until.Segment, r.until.Byte}}
	for _, p := range r.parts {
		e.Parts = append(e.Parts, [4]int64{p.Segment, p.From, p.Until, p.Records})
	}
	b, err := msgpack.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encoding parts of a log: %w", err)
	}
	return b, nil
}

// decodeRanges reads the ranges that encodeRanges wrote.
func decodeRanges(b []byte) (ranges, error) {
	var e encodedRanges
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return ranges{}, fmt.Errorf("%w: parts of a log: %w", engine.ErrCorruptLog, err)
	}
	if e.Format != rangesFormat {
		return ranges{}, fmt.Errorf("%w: parts of a log of format %d, this program knows %d", engine.ErrFormat, e.Format, rangesFormat)
	}
	r := ranges{dir: e.Dir, from: e.From, until: segments.Position{Record: e.Until[0], Segment: e.Until[1], Byte: e.Until[2]}}
	for _, p := range e.Parts {
		r.parts = append(r.parts, segments.Part{Segment: p[0], From: p[1], Until: p[2], Records: p[3]})
	}
	return r, nil
}
