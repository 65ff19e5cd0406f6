package state

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *StartJob) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Driven(c.Incarnation, c.Epoch)
	if err != nil {
		return Result{}, err
	}
	if len(c.Header) == 0 {
		return Result{}, fmt.Errorf("%w: the header of job %d is empty", wire.ErrInvalid, c.Incarnation)
	}
	if j.Header != nil {
		if !bytes.Equal(j.Header, c.Header) {
			return Result{}, fmt.Errorf("%w: job %d was started with another header: another graph or parallelism",
				wire.ErrInvalid, c.Incarnation)
		}
		return Result{existed: true}, nil
	}
	if err := s.grow(j, len(c.Header)); err != nil {
		return Result{}, err
	}
	j.Header = c.Header
	return Result{}, nil
}

func (c *RecordValue) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Driven(c.Incarnation, c.Epoch)
	if err != nil {
		return Result{}, err
	}
	if c.Index >= 0 && c.Index < len(j.Values) {
		old := j.Values[c.Index]
		if old.Name != c.Value.Name || !bytes.Equal(old.Data, c.Value.Data) {
			return Result{}, fmt.Errorf("%w: value %d of job %d was recorded with another content",
				wire.ErrSequence, c.Index, c.Incarnation)
		}
		return Result{existed: true}, nil
	}
	if c.Index != len(j.Values) {
		return Result{}, fmt.Errorf("%w: value %d of job %d, the next is %d",
			wire.ErrSequence, c.Index, c.Incarnation, len(j.Values))
	}
	if len(j.Values) >= maxValues {
		return Result{}, fmt.Errorf("%w: job %d has recorded %d values, which is the limit",
			wire.ErrTooLarge, c.Incarnation, maxValues)
	}
	if err := s.grow(j, valueBytes+len(c.Value.Name)+len(c.Value.Data)); err != nil {
		return Result{}, err
	}
	j.Values = append(j.Values, c.Value)
	return Result{}, nil
}

func (c *AllocateBatch) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Driven(c.Incarnation, c.Epoch)
	if err != nil {
		return Result{}, err
	}
	if c.Seq == j.Last.Seq && c.Seq != 0 {
		if j.Last.Epoch != c.Epoch || !bytes.Equal(j.Last.Data, c.Data) {
			return Result{}, fmt.Errorf("%w: batch %d of job %d is allocated with another content",
				wire.ErrSequence, c.Seq, c.Incarnation)
		}
		return Result{existed: true}, s.complete(j, c.Completions)
	}
	if c.Seq != j.Last.Seq+1 {
		return Result{}, fmt.Errorf("%w: batch %d of job %d, the next is %d",
			wire.ErrSequence, c.Seq, c.Incarnation, j.Last.Seq+1)
	}
	if done := j.wouldComplete(c.Completions); len(j.Pending)-done >= maxPending {
		return Result{}, fmt.Errorf("%w: job %d has %d batches that aren't complete, which is the limit",
			wire.ErrTooLarge, c.Incarnation, maxPending)
	}
	last, pending := j.Last, j.Pending
	j.Last = wire.Pending{Seq: c.Seq, Epoch: c.Epoch, Data: c.Data}
	j.Pending = append(j.Pending, j.Last)
	growth := batchBytes + len(c.Data) + len(c.Data) - len(last.Data) + j.growth(c.Completions)
	if err := s.grow(j, growth); err != nil {
		j.Last, j.Pending = last, pending
		return Result{}, err
	}
	j.complete(c.Completions)
	return Result{}, nil
}

func (c *CompleteOutputs) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Driven(c.Incarnation, c.Epoch)
	if err != nil {
		return Result{}, err
	}
	return Result{}, s.complete(j, c.Completions)
}

// complete applies completions to a job and accounts for them.
func (s *State) complete(j *Job, done []wire.Completion) error {
	if err := s.grow(j, j.growth(done)); err != nil {
		return err
	}
	j.complete(done)
	return nil
}

// wouldComplete counts the batches that completions end.
func (j *Job) wouldComplete(done []wire.Completion) int {
	ended := make(map[uint64]bool)
	for _, c := range done {
		if _, found := j.pending(c.Seq); found && c.Output == wire.AllOutputs {
			ended[c.Seq] = true
		}
	}
	return len(ended)
}

// pending finds a batch that isn't complete.
func (j *Job) pending(seq uint64) (at int, found bool) {
	return slices.BinarySearchFunc(j.Pending, seq, func(p wire.Pending, seq uint64) int { return cmp.Compare(p.Seq, seq) })
}

// complete applies completions, for which growth accounts; what it doesn't know it ignores, so applying one
// twice does no harm.
func (j *Job) complete(done []wire.Completion) {
	for _, c := range done {
		at, found := j.pending(c.Seq)
		if !found {
			continue
		}
		j.Crashes = 0
		if c.Output == wire.AllOutputs {
			j.Pending = slices.Delete(j.Pending, at, at+1)
			continue
		}
		p := &j.Pending[at]
		if i, found := slices.BinarySearch(p.Done, c.Output); !found {
			p.Done = slices.Insert(p.Done, i, c.Output)
		}
	}
}
