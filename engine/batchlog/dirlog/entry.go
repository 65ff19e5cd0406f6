package dirlog

import (
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// entry is one entry of a segment.
type entry struct {
	Header     []byte               `msgpack:"h,omitempty"`
	Epoch      uint64               `msgpack:"e,omitempty"` // with Header
	Value      *batchlog.Value      `msgpack:"v,omitempty"`
	Batch      *batchlog.Batch      `msgpack:"b,omitempty"`
	Completion *batchlog.Completion `msgpack:"c,omitempty"`
	// Begins says that the entry is of the state with which the segment begins,
	// and Complete that it is of a batch which is.
	Begins   bool `msgpack:"s,omitempty"`
	Complete bool `msgpack:"l,omitempty"`
	Past     bool `msgpack:"p,omitempty"` // and that later batches reach back to it
}

// encodeEntries returns the frames of entries.
func encodeEntries(entries []entry) ([]byte, error) {
	var frames []byte
	for i := range entries {
		payload, err := msgpack.Marshal(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("encoding an entry of the batch log: %w", err)
		}
		if len(payload) > maxFrame {
			return nil, fmt.Errorf("an entry of the batch log has %d bytes, %d are allowed: record less in Value and PerBatch", len(payload), maxFrame)
		}
		frames = appendFrame(frames, payload)
	}
	return frames, nil
}

// snapshot returns entries that add up to a state.
func snapshot(s *batchlog.State, epoch uint64) []entry {
	var entries []entry
	if s.Header != nil || epoch > 0 {
		entries = append(entries, entry{Header: s.Header, Epoch: epoch})
	}
	for i := range s.Values {
		entries = append(entries, entry{Value: &s.Values[i]})
	}
	for i := range s.Past {
		entries = append(entries, entry{Batch: &s.Past[i], Begins: true, Past: true})
	}
	for i := range s.Pending {
		entries = append(entries, entry{Batch: &s.Pending[i], Begins: true})
	}
	if n := len(s.Pending); s.Last.Seq > 0 && (n == 0 || s.Pending[n-1].Seq < s.Last.Seq) {
		entries = append(entries, entry{Batch: &s.Last, Begins: true, Complete: true})
	}
	return entries
}

// reader adds up the entries of a segment.
type reader struct {
	state *batchlog.State
	epoch *uint64
}

// apply adds an entry.
func (r reader) apply(payload []byte) error {
	var e entry
	err := msgpack.Unmarshal(payload, &e)
	if err != nil {
		return fmt.Errorf("%w: %w", batchlog.ErrCorrupt, err)
	}
	switch {
	case e.Epoch != 0:
		err = r.state.Restart(e.Header, nil)
		*r.epoch = e.Epoch
	case e.Value != nil:
		_, err = r.state.Record(len(r.state.Values), *e.Value, 0, nil)
	case e.Batch != nil && e.Past:
		r.state.RestorePast(*e.Batch)
	case e.Batch != nil && e.Begins:
		r.state.Restore(*e.Batch, e.Complete)
	case e.Batch != nil:
		_, err = r.state.Allocate(*e.Batch, nil, 0, nil)
	case e.Completion != nil:
		_, err = r.state.Complete([]batchlog.Completion{*e.Completion}, nil)
	default:
		return fmt.Errorf("%w: an entry of a kind that this program doesn't know", batchlog.ErrFormat)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", batchlog.ErrCorrupt, err)
	}
	return nil
}

// check makes sure of the state when all entries were added.
func (r reader) check() error {
	if err := r.state.Check(); err != nil {
		return fmt.Errorf("%w: %w", batchlog.ErrCorrupt, err)
	}
	return nil
}

// entryOld is an entry of the first format. One field is set; the header and the
// allocation are msgpack.
type entryOld struct {
	Header     msgpack.RawMessage `msgpack:"h"`
	Epoch      uint64             `msgpack:"e"` // with Header
	Value      *batchlog.Value    `msgpack:"v"`
	Allocation []byte             `msgpack:"a"`
	Last       bool               `msgpack:"l"` // with Allocation: newest one, complete already
	Completion *completionOld     `msgpack:"c"`
}

type completionOld struct {
	Seq    uint64 `msgpack:"seq"`
	Output int32  `msgpack:"out"`
}

// applyOld adds an entry of the first format.
func (r reader) applyOld(payload []byte) error {
	var e entryOld
	if err := msgpack.Unmarshal(payload, &e); err != nil {
		return fmt.Errorf("%w: %w", batchlog.ErrCorrupt, err)
	}
	switch {
	case e.Header != nil:
		*r.epoch = e.Epoch
		return r.state.Restart(e.Header, nil)
	case e.Value != nil:
		r.state.Values = append(r.state.Values, *e.Value)
	case e.Allocation != nil:
		var b struct {
			Seq   uint64 `msgpack:"seq"`
			Epoch uint64 `msgpack:"epoch"`
		}
		if err := msgpack.Unmarshal(e.Allocation, &b); err != nil || b.Seq == 0 {
			return errors.Join(fmt.Errorf("%w: an allocation without a number", batchlog.ErrCorrupt), err)
		}
		r.state.Restore(batchlog.Batch{Seq: b.Seq, Epoch: b.Epoch, Data: e.Allocation}, e.Last)
	case e.Completion != nil:
		_, err := r.state.Complete([]batchlog.Completion{{Seq: e.Completion.Seq, Output: e.Completion.Output}}, nil)
		return err
	default:
		return fmt.Errorf("%w: an entry of a kind that this program doesn't know", batchlog.ErrFormat)
	}
	return nil
}
