package receivers

import (
	"errors"
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

// errMoved is what a program is told that was moved between a machine and a cluster, or between a
// path and a URL.
var errMoved = errors.New("a job's receivers.Directory stays a path of one machine, or one that several share; begin a new job to change that")

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
		return ranges{}, fmt.Errorf("%w: parts of a log of format %d, this program knows %d: %w", engine.ErrFormat, e.Format, rangesFormat, errMoved)
	}
	r := ranges{dir: e.Dir, from: e.From, until: segments.Position{Record: e.Until[0], Segment: e.Until[1], Byte: e.Until[2]}}
	for _, p := range e.Parts {
		r.parts = append(r.parts, segments.Part{Segment: p[0], From: p[1], Until: p[2], Records: p[3]})
	}
	return r, nil
}

// sharedRanges are a stream's share of a batch, of what several starts of the receiver have stored.
type sharedRanges struct {
	Logs       []position // in the order in which they are read
	Partitions [][]part
}

// position says where in a log a batch begins and ends.
type position struct {
	Log        string
	From, Next int64 // numbers of records
}

// part is a file of one of the logs.
type part struct {
	log int // which of them
	segments.File
}

// from returns where in a log the batch begins.
func (r sharedRanges) from(log string) int64 { return r.at(log).From }

// next returns where in a log the batch after it begins.
func (r sharedRanges) next(log string) int64 { return r.at(log).Next }

// at returns the positions in a log, zero if the batch knows nothing of it.
func (r sharedRanges) at(log string) position {
	for _, at := range r.Logs {
		if at.Log == log {
			return at
		}
	}
	return position{}
}

// sharedFormat is the version of shared ranges' encoding in an allocation.
const sharedFormat = 2

// encodedShared is how shared ranges lie in an allocation. Its keys aren't those of encodedRanges.
type encodedShared struct {
	Format     int          `msgpack:"v"`
	Logs       []string     `msgpack:"l"`
	From       []int64      `msgpack:"lf"`
	Next       []int64      `msgpack:"ln"`
	Partitions [][][4]int64 `msgpack:"lp,omitempty"` // which log, first record, records, bytes
}

func (r sharedRanges) encode() ([]byte, error) {
	e := encodedShared{Format: sharedFormat}
	for _, at := range r.Logs {
		e.Logs, e.From, e.Next = append(e.Logs, at.Log), append(e.From, at.From), append(e.Next, at.Next)
	}
	for _, parts := range r.Partitions {
		var encoded [][4]int64
		for _, p := range parts {
			encoded = append(encoded, [4]int64{int64(p.log), p.First, p.Records, p.Bytes})
		}
		e.Partitions = append(e.Partitions, encoded)
	}
	b, err := msgpack.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encoding parts of logs: %w", err)
	}
	return b, nil
}

// isShared reports whether encoded ranges are shared ones.
func isShared(b []byte) bool {
	var e struct {
		Format int `msgpack:"v"`
	}
	return msgpack.Unmarshal(b, &e) == nil && e.Format == sharedFormat
}

// decodeShared reads the ranges that encode wrote.
func decodeShared(b []byte) (r sharedRanges, err error) {
	var e encodedShared
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return r, fmt.Errorf("%w: parts of logs: %w", engine.ErrCorruptLog, err)
	}
	if e.Format != sharedFormat {
		return r, fmt.Errorf("%w: parts of logs of format %d, this program knows %d: %w", engine.ErrFormat, e.Format, sharedFormat, errMoved)
	}
	if len(e.From) != len(e.Logs) || len(e.Next) != len(e.Logs) {
		return r, fmt.Errorf("%w: parts of %d logs from %d places to %d", engine.ErrCorruptLog, len(e.Logs), len(e.From), len(e.Next))
	}
	for i, log := range e.Logs {
		r.Logs = append(r.Logs, position{log, e.From[i], e.Next[i]})
	}
	for _, encoded := range e.Partitions {
		var parts []part
		for _, p := range encoded {
			if p[0] < 0 || p[0] >= int64(len(e.Logs)) {
				return r, fmt.Errorf("%w: a part of log %d of %d", engine.ErrCorruptLog, p[0], len(e.Logs))
			}
			parts = append(parts, part{int(p[0]), segments.File{First: p[1], Records: p[2], Bytes: p[3]}})
		}
		r.Partitions = append(r.Partitions, parts)
	}
	return r, nil
}
