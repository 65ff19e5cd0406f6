package state

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
)

// What things count for beyond their contents, in bytes. It is more than their
// encoding takes.
const (
	jobBytes = 1 << 10 // with all that is bounded and small
	argBytes = 8
)

// size is what a job counts for, in bytes: what it is and what it records, at
// least its share while it runs.
func (j *Job) size() int {
	n := jobBytes + len(j.Reason)
	for _, a := range j.Spec.Args {
		n += argBytes + len(a)
	}
	for _, s := range j.Spec.Secrets {
		n += argBytes + len(s.Name) + len(s.Value)
	}
	if j.State.Final() {
		return n + j.Bytes
	}
	return n + max(j.Bytes, jobShare)
}

// room makes sure that n bytes more fit into the state. What ended jobs have left makes
// way.
func (s *State) room(n int) error {
	s.makeRoom(n)
	if n > 0 && n > s.budget-s.bytes {
		return fmt.Errorf("%w: the cluster remembers %d bytes of jobs, %d more are over the limit of %d; there is room when jobs complete batches or end",
			wire.ErrTooLarge, s.bytes, n, s.budget)
	}
	return nil
}

// grow accounts for n more bytes of a job's log, or fewer if n is below 0.
func (s *State) grow(j *Job, n int) error {
	if n > 0 && n > maxJobBytes-j.Bytes {
		return fmt.Errorf("%w: job %d has %d bytes of header, values and batches recorded, %d more are over the limit of %d",
			wire.ErrTooLarge, j.Spec.Incarnation, j.Bytes, n, maxJobBytes)
	}
	before := j.size()
	j.Bytes += n
	if err := s.room(j.size() - before); err != nil {
		j.Bytes -= n
		return err
	}
	s.bytes += j.size() - before
	return nil
}

// refusal bounds what an executor says when it refuses a job.
func (j *Job) refusal(reason string) string {
	if len(j.Refused) >= maxRefusals {
		return wire.Clip(reason, shortReason)
	}
	return wire.Clip(reason, MaxReasonText)
}
