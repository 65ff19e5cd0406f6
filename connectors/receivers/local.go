package receivers

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
)

// localLog keeps what is received on this machine's disk. Appending is safe for concurrent use,
// the rest is the generator's.
type localLog struct {
	*segments.Log
	source
	temporary string // its directory, if it is one that is removed
	complete  int64  // records before this one are in batches that are complete
	recorded  int64  // complete as of the last plan: the log of batches has it
}

// openLocal opens the log of a stream in its directory, or in a temporary one.
func openLocal(s source) (_ *localLog, err error) {
	l := &localLog{source: s}
	dir := s.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hibana-received-"); err != nil {
			return nil, fmt.Errorf("making a directory for what is received: %w", err)
		}
		l.temporary = dir
	}
	l.Log, err = segments.Open(segments.Options{Dir: dir, Most: s.options.maxBytes, Durable: s.dir != "", Logger: s.logger})
	if err != nil {
		return nil, errors.Join(err, l.removeTemporary())
	}
	return l, nil
}

func (l *localLog) removeTemporary() error {
	if l.temporary == "" {
		return nil
	}
	return os.RemoveAll(l.temporary)
}

// Close closes the log.
func (l *localLog) Close() error { return errors.Join(l.Log.Close(), l.removeTemporary()) }

// plan cuts what the batch may hold from what was received and not planned.
func (l *localLog) plan(req engine.PlanRequest) (engine.Plan, error) {
	from := l.Begin()
	if req.Previous != nil {
		before, err := decodeRanges(req.Previous)
		if err != nil {
			return engine.Plan{}, fmt.Errorf("the records of the batch before: %w", err)
		}
		if before.dir == "" || before.dir == l.temporary { // else the log before has ended with its process
			from = before.until
		}
	}
	if err := l.release(req.Kept); err != nil {
		return engine.Plan{}, err
	}
	parts, until, left, err := l.Cut(from, req.Budget, l.parallelism)
	if err != nil {
		return engine.Plan{}, err
	}
	if err := l.Sync(); err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Records: until.Record - from.Record, Backlog: left}
	plan.Ranges, err = encodeRanges(ranges{dir: l.temporary, parts: parts, from: from.Record, until: until})
	return plan, err
}

// release deletes what no batch reads any more: before the first one that isn't complete, and
// before the first that others reach back to, whose ranges are kept.
func (l *localLog) release(kept []byte) error {
	before := int64(math.MaxInt64)
	if kept != nil {
		r, err := decodeRanges(kept)
		if err != nil {
			return fmt.Errorf("the records of an earlier batch: %w", err)
		}
		before = r.from
	}
	if err := l.Release(min(before, l.recorded)); err != nil { // it is tried again at the next plan
		l.logger.Warn("a log of what is received can't be made smaller", "stream", l.op, "err", err)
	}
	l.recorded = l.complete
	return nil
}

// completed notes that a batch's records were read.
func (l *localLog) completed(encoded []byte) error {
	r, err := decodeRanges(encoded)
	if err == nil {
		l.complete = r.until.Record
	}
	return err
}
