package engine

import (
	"bytes"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// save has a version saved, if the batch's allocation says so.
func (s *keyedState[K, S, I]) save(p rdd.Part, v version[K, S], a *plan.Allocation) error {
	saved := a.State(s.name)
	if saved == nil || saved.Save == plan.NoSave {
		return nil
	}
	saver, err := state.SaverOf(p.Task().Process)
	if err != nil {
		return err
	}
	saver.Save(s.toSave(p.Task(), p.Index, v, a, saved.Save))
	return nil
}

// saveAll returns the action that saves the versions of a batch.
func (s *keyedState[K, S, I]) saveAll(versions *rdd.RDD[version[K, S]], a *plan.Allocation, kind plan.SaveKind) lineage.Action {
	return lineage.Action{Final: versions.Node(), Op: s.op, Site: s.of.Site, Run: func(tc *task.Context, partition int) ([]byte, error) {
		saver, err := state.SaverOf(tc.Process)
		if err != nil {
			return nil, err
		}
		for v, err := range versions.Compute(tc, partition) {
			if err != nil {
				return nil, err
			}
			if err := saver.SaveNow(tc, s.toSave(tc, partition, v, a, kind)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}
}

// toSave says how a version is saved.
func (s *keyedState[K, S, I]) toSave(tc *task.Context, partition int, v version[K, S], a *plan.Allocation, kind plan.SaveKind) *state.Version {
	job := &state.Version{State: s.name, Seq: a.Seq, Partition: partition, Kind: kind, Epoch: tc.Epoch}
	h := s.header(partition, a.TimeNanos)
	if c := a.State(s.name).Newest(a.Seq); c != nil && kind == plan.SaveDelta {
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
	return job
}

// header says what a file of the state holds.
func (s *keyedState[K, S, I]) header(partition int, until int64) keyed.Header {
	return keyed.Header{
		Table: s.name, Partition: partition, Partitions: s.of.Partitions,
		Key: s.layout.codec.KeyType, Value: s.layout.codec.ValueType, Base: true, Until: until,
	}
}
