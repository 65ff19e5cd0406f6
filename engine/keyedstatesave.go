package engine

import (
	"bytes"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// save has a version saved, if the batch's allocation says so.
func (s *keyedState[K, S, I]) save(p rdd.Part, v version[K, S], a *plan.Allocation) error {
	saved := a.State(s.name)
	if saved == nil || saved.Save == plan.NoSave {
		return nil
	}
	tc := p.Task()
	saver, err := state.SaverOf(tc.Process)
	if err != nil {
		return err
	}
	job := &state.Version{State: s.name, Seq: a.Seq, Partition: p.Index, Kind: saved.Save, Epoch: tc.Epoch}
	h := s.header(p.Index, a.TimeNanos)
	if c := saved.Newest(a.Seq); c != nil && saved.Save == plan.SaveDelta {
		job.Since, h.Base, h.Since = c.Seq, false, c.TimeNanos
	}
	job.Encode = func() ([]byte, error) {
		var b bytes.Buffer
		if h.Base {
			err := s.layout.codec.WriteBase(&b, h, v.table)
			return b.Bytes(), err
		}
		err := s.layout.codec.WriteDelta(&b, h, v.table, h.Since)
		return b.Bytes(), err
	}
	saver.Save(job)
	return nil
}

// header says what a file of the state holds.
func (s *keyedState[K, S, I]) header(partition int, until int64) keyed.Header {
	return keyed.Header{
		Table: s.name, Partition: partition, Partitions: s.of.Partitions,
		Key: s.layout.codec.KeyType, Value: s.layout.codec.ValueType, Base: true, Until: until,
	}
}
