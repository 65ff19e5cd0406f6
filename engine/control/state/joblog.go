package state

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *StartJob) apply(s *State, _ uint64) (Result, error) {
	return s.record(c.Incarnation, c.Epoch, func(j *Job, grow batchlog.Commit) (batchlog.Effect, error) {
		if c.Kind > wire.KindBatch {
			return batchlog.Effect{}, fmt.Errorf("%w: job %d can't be of kind %d", wire.ErrInvalid, c.Incarnation, c.Kind)
		}
		if j.Inherited && len(c.Header) > 0 {
			if err := j.Restart(c.Header, grow); err != nil {
				return batchlog.Effect{}, err
			}
			s.started(j)
			j.Kind = c.Kind
			return batchlog.Effect{}, nil
		}
		effect, err := j.Start(c.Header, grow)
		if err == nil && !effect.Existed {
			j.Kind = c.Kind
		}
		return effect, err
	})
}

func (c *RecordValue) apply(s *State, _ uint64) (Result, error) {
	return s.record(c.Incarnation, c.Epoch, func(j *Job, grow batchlog.Commit) (batchlog.Effect, error) {
		return j.Record(c.Index, c.Value, maxValues, grow)
	})
}

func (c *AllocateBatch) apply(s *State, _ uint64) (Result, error) {
	return s.record(c.Incarnation, c.Epoch, func(j *Job, grow batchlog.Commit) (batchlog.Effect, error) {
		return j.Allocate(batchlog.Batch{Seq: c.Seq, Epoch: c.Epoch, Data: c.Data, Keep: c.Keep}, c.Completions, maxPending, grow)
	})
}

func (c *CompleteOutputs) apply(s *State, _ uint64) (Result, error) {
	return s.record(c.Incarnation, c.Epoch, func(j *Job, grow batchlog.Commit) (batchlog.Effect, error) {
		return j.Complete(c.Completions, grow)
	})
}

// record lets the driver of a job change its batch log, and accounts for it.
func (s *State) record(
	incarnation, epoch uint64, change func(j *Job, grow batchlog.Commit) (batchlog.Effect, error),
) (Result, error) {
	j, err := s.Driven(incarnation, epoch)
	if err != nil {
		return Result{}, err
	}
	effect, err := change(j, func(n int) error { return s.grow(j, n) })
	if effect.Completed && epoch != j.Failed { // else it is said once more what was done before
		s.goesWell(j)
	}
	return Result{existed: effect.Existed}, refused(incarnation, err)
}

// refused wraps the error that the batch log of a job refuses a change with as
// one that crosses the network.
func refused(incarnation uint64, err error) error {
	r, ok := errors.AsType[*batchlog.Refusal](err)
	if !ok {
		return err
	}
	kind := wire.ErrInvalid // of the header
	switch r.Kind {
	case batchlog.ErrSequence:
		kind = wire.ErrSequence
	case batchlog.ErrFull:
		kind = wire.ErrTooLarge
	}
	return fmt.Errorf("%w: job %d: %s", kind, incarnation, r.What)
}
