package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A stream's log stays when it ends, for a job that resumes it. That one begins with a
// copy; when its first driver has started, so that the program fits, the log is its own
// and the ended job's is dropped. If it ends before, the ended job can be resumed again.

// Resumable returns a job that can be resumed, or says why it can't be and what to do.
func (s *State) Resumable(incarnation uint64) (*Job, error) {
	j, err := s.Find(wire.JobRef{Incarnation: incarnation})
	switch {
	case err != nil:
		return nil, err
	case !j.State.Final():
		return nil, fmt.Errorf("%w: job %d is %s, and only a job that has ended can be resumed: end it first, engine-submit kill --graceful %d", wire.ErrInvalid, incarnation, j.State, incarnation)
	case j.Resumed != 0 && j.left():
		return nil, fmt.Errorf("%w: job %d is about to resume job %d: wait until it runs, or end it", wire.ErrInvalid, j.Resumed, incarnation)
	case j.Resumed != 0:
		return nil, fmt.Errorf("%w: job %d was resumed as job %d, which has its state and offsets now: resume that one when it has ended", wire.ErrInvalid, incarnation, j.Resumed)
	case j.Kind == wire.KindBatch:
		return nil, fmt.Errorf("%w: job %d is a batch program, which keeps nothing to go on from: submit it without --resume", wire.ErrInvalid, incarnation)
	case j.Spec.Resume != 0 && j.Kind == wire.KindUnknown:
		return nil, fmt.Errorf("%w: job %d ended before it went on from job %d: resume that one", wire.ErrInvalid, incarnation, j.Spec.Resume)
	case j.Last.Seq == 0:
		return nil, fmt.Errorf("%w: job %d ended before its first batch: submit the program without --resume", wire.ErrInvalid, incarnation)
	case !j.left():
		return nil, fmt.Errorf("%w: the log of job %d isn't there any more; those of the %d newest jobs that have ended are kept, of %d MiB together, until there is no room or engine-submit forget drops them",
			wire.ErrInvalid, incarnation, maxLeftLogs, maxLeftBytes>>20)
	}
	return j, nil
}

// left reports whether the job has ended and its log is there.
func (j *Job) left() bool { return j.State.Final() && j.Bytes > 0 }

// inherit gives a new job the log of the one that it resumes.
func (s *State) inherit(j *Job) error {
	if j.Spec.Resume == 0 {
		return nil
	}
	before, err := s.Resumable(j.Spec.Resume)
	if err != nil {
		return err
	}
	j.BatchLog, j.Bytes, j.Inherited = before.BatchLog.Clone(), before.Bytes, true
	if j.Spec.Origin = before.Spec.Origin; j.Spec.Origin == 0 {
		j.Spec.Origin = before.Spec.Incarnation
	}
	before.Resumed = j.Spec.Incarnation
	return nil
}

// giveBack makes the job that j was about to resume one that can be resumed again.
func (s *State) giveBack(j *Job) {
	if before := s.Jobs[j.Spec.Resume]; j.Inherited && before != nil {
		before.Resumed = 0
	}
}

// started makes the log that a job has inherited its own.
func (s *State) started(j *Job) {
	if before := s.Jobs[j.Spec.Resume]; before != nil {
		s.dropLeft(before)
	}
	j.Inherited = false
}

// drop drops a job's log.
func (j *Job) drop() {
	if j.Drop(); j.Inherited {
		j.BatchLog = BatchLog{} // it planned none of the batches
	}
	j.Bytes, j.Inherited = 0, false
}

// dropLeft drops the log that a job has left.
func (s *State) dropLeft(j *Job) {
	before := j.size()
	j.drop()
	s.bytes += j.size() - before
}

func (c *DropLog) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Find(wire.JobRef{Incarnation: c.Incarnation})
	switch {
	case err != nil:
		return Result{}, err
	case !j.State.Final():
		return Result{}, fmt.Errorf("%w: job %d is %s, so that it needs its log", wire.ErrInvalid, c.Incarnation, j.State)
	case !j.left():
		return Result{existed: true}, nil
	case j.Resumed != 0:
		return Result{}, fmt.Errorf("%w: job %d is about to resume job %d", wire.ErrInvalid, j.Resumed, c.Incarnation)
	}
	s.dropLeft(j)
	return Result{}, nil
}

// spare lists the jobs whose logs may be dropped, the oldest first.
func (s *State) spare() (all []*Job, bytes int) {
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if j := s.Jobs[inc]; j.left() && j.Resumed == 0 {
			all = append(all, j)
			bytes += j.Bytes
		}
	}
	return all, bytes
}

// keepLogs drops the oldest logs that are over the limits of what ended jobs leave.
func (s *State) keepLogs() {
	all, bytes := s.spare()
	for ; len(all) > maxLeftLogs || bytes > maxLeftBytes; all = all[1:] {
		bytes -= all[0].Bytes
		s.dropLeft(all[0])
	}
}

// makeRoom drops the oldest logs of ended jobs until n bytes are free, if they are enough.
func (s *State) makeRoom(n int) {
	if n <= s.budget-s.bytes {
		return
	}
	all, bytes := s.spare()
	if n > s.budget-s.bytes+bytes {
		return
	}
	for ; n > s.budget-s.bytes && len(all) > 0; all = all[1:] {
		s.dropLeft(all[0])
	}
}
