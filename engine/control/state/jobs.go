package state

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *TakeJob) apply(s *State, _ uint64) (Result, error) { return s.take(c, s.Newest+1) }

func (c *ResumeJob) apply(s *State, _ uint64) (Result, error) {
	return s.take((*TakeJob)(c), s.Newest+1)
}

func (c *SubmitJob) apply(s *State, index uint64) (Result, error) {
	return s.take(&TakeJob{Spec: c.Spec, At: c.At}, index)
}

// take makes a job under a number that no job has had.
func (s *State) take(c *TakeJob, number uint64) (Result, error) {
	spec := c.Spec
	if inc, existed, err := s.Submission(&spec); existed || err != nil {
		return Result{Index: inc, existed: existed}, err
	}
	live, oldest := s.countJobs()
	if live >= maxLiveJobs {
		return Result{}, fmt.Errorf("%w: %d jobs run, which is the limit", wire.ErrTooLarge, live)
	}
	spec.Incarnation = number
	j := &Job{
		Spec: spec, State: wire.JobSubmitted, MaxSlots: c.MaxSlots, Submitted: c.At, Processes: make(map[string]jobProcess), Refused: make(map[string]string),
	}
	if err := s.inherit(j); err != nil {
		return Result{}, err
	}
	growth := j.size()
	full := len(s.Jobs)-live >= maxEndedJobs
	if full {
		growth -= s.Jobs[oldest].size()
	}
	if err := s.room(growth); err != nil {
		s.giveBack(j)
		return Result{}, err
	}
	if full {
		growth = j.size() - s.Jobs[oldest].size() // its log may have made room
		delete(s.submissions, s.Jobs[oldest].Spec.Submission)
		delete(s.Jobs, oldest)
	}
	s.bytes += growth
	s.Jobs[number] = j
	s.submissions[spec.Submission] = number
	s.Newest = max(s.Newest, number)
	return Result{Index: number}, nil
}

// Submission finds the job of a submission that was taken before. One with other
// contents is an error that wraps wire.ErrSubmissionTaken.
func (s *State) Submission(of *wire.JobSpec) (incarnation uint64, existed bool, err error) {
	inc, ok := s.submissions[of.Submission]
	if !ok {
		return 0, false, nil
	}
	if old := s.Jobs[inc].Spec; old.Binary != of.Binary || old.Name != of.Name || !slices.Equal(old.Args, of.Args) || old.Resume != of.Resume {
		return 0, false, fmt.Errorf("%w: %q is job %d, with another binary, name, arguments or --resume",
			wire.ErrSubmissionTaken, of.Submission, inc)
	}
	return inc, true, nil
}

// countJobs returns how many jobs haven't ended, and the oldest that has.
func (s *State) countJobs() (live int, oldest uint64) {
	for inc, j := range s.Jobs {
		if !j.State.Final() {
			live++
		} else if oldest == 0 || inc < oldest {
			oldest = inc
		}
	}
	return live, oldest
}

func (c *AssignDriver) apply(s *State, index uint64) (Result, error) {
	j := s.Jobs[c.Incarnation]
	if j == nil {
		return Result{}, fmt.Errorf("%w: %d", wire.ErrNoJob, c.Incarnation)
	}
	if j.State.Final() {
		return Result{}, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, c.Incarnation, j.State)
	}
	if j.Epoch != c.After {
		return Result{}, fmt.Errorf("%w: job %d is at epoch %d, not %d",
			wire.ErrSequence, c.Incarnation, j.Epoch, c.After)
	}
	j.Epoch, j.Node = index, c.Node
	if j.State == wire.JobSubmitted {
		j.State = wire.JobRunning
	}
	if c.Crashed {
		j.Crashes++
	}
	return Result{Index: index}, nil
}

func (c *StopJob) apply(s *State, _ uint64) (Result, error) {
	j, err := s.Find(wire.JobRef{Incarnation: c.Incarnation})
	if err != nil {
		return Result{}, err
	}
	switch j.State {
	case wire.JobSubmitted: // nothing is planned
		s.end(j, wire.JobFinished, "stopped before it began", j.Submitted, false)
	case wire.JobRunning:
		j.State = wire.JobStopping
	default:
		return Result{existed: true}, nil
	}
	return Result{}, nil
}

func (c *EndJob) apply(s *State, _ uint64) (Result, error) { return s.endAs(c, false) }

func (c *LeaveJob) apply(s *State, _ uint64) (Result, error) { return s.endAs((*EndJob)(c), true) }

// Ending returns the command that ends a job as e says: LeaveJob if the job leaves a log,
// else EndJob, which nodes of earlier versions know, too. A stream that is ended while its
// driver goes on may be about to plan its first batch.
func (s *State) Ending(e EndJob) Command {
	if j := s.Jobs[e.Incarnation]; j != nil && j.Kind == wire.KindStream && (j.Last.Seq > 0 || e.Epoch == 0) {
		return (*LeaveJob)(&e)
	}
	return &e
}

// endAs ends a job as a command says. With leave its log stays.
func (s *State) endAs(c *EndJob, leave bool) (Result, error) {
	j, err := s.Find(wire.JobRef{Incarnation: c.Incarnation})
	if err != nil {
		return Result{}, err
	}
	if c.Epoch != 0 && c.Epoch != j.Epoch {
		return Result{}, fmt.Errorf("%w: job %d is at epoch %d, this driver's is %d",
			wire.ErrStaleEpoch, c.Incarnation, j.Epoch, c.Epoch)
	}
	if j.State.Final() {
		return Result{existed: true}, nil
	}
	if !c.State.Final() || c.State > wire.JobKilled {
		return Result{}, fmt.Errorf("%w: job %d can't end as %s", wire.ErrInvalid, c.Incarnation, c.State)
	}
	if c.State == wire.JobFailed && c.Epoch != 0 && j.Failed == c.Epoch {
		return Result{existed: true}, nil // it is about to go on
	}
	if c.State == wire.JobFailed && c.Epoch != 0 && j.State == wire.JobRunning && j.Spec.Restart != 0 {
		if j.Spec.Restart.Allows(j.Restarts) {
			s.restart(j, c.Reason)
			return Result{}, nil
		}
		c.Reason = fmt.Sprintf("it has failed %d times in a row, the last time: %s", j.Restarts+1, c.Reason)
	}
	s.end(j, c.State, c.Reason, c.At, leave)
	return Result{}, nil
}

// restart notes that a job that has failed goes on with another driver.
func (s *State) restart(j *Job, reason string) {
	before := j.size()
	j.Restarts++
	j.Crashes, j.Failed, j.Reason = 0, j.Epoch, wire.Clip(reason, MaxReason)
	s.bytes += j.size() - before
}

// goesWell notes that a job has got something done.
func (s *State) goesWell(j *Job) {
	before := j.size()
	j.Crashes, j.Restarts, j.Reason = 0, 0, ""
	s.bytes += j.size() - before
}

// end puts the job into a final state. Its log is dropped, unless it is left to who
// resumes the job.
func (s *State) end(j *Job, state wire.JobState, reason string, at int64, leave bool) {
	before := j.size()
	j.State, j.Reason, j.Ended = state, wire.Clip(reason, MaxReason), at
	leave = leave && j.Kind == wire.KindStream && !j.Inherited && j.Last.Seq > 0
	if s.giveBack(j); !leave {
		j.drop()
	}
	j.Processes, j.Refused = nil, nil
	j.Spec = j.Spec.Shown() // what nobody needs any more
	s.bytes += j.size() - before
	s.keepLogs()
}
