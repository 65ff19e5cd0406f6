package state

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of what the cluster remembers. Together they keep a snapshot within
// maxSnapshot: what jobs are and record is within maxStateBytes; their executor
// processes take up to maxLiveJobs x maxExecutors x 283 bytes, which is 270 MiB,
// and what executors say when they refuse jobs 157 MiB.
const (
	maxLiveJobs      = 1000
	maxEndedJobs     = 1000      // the oldest are forgotten
	maxPending       = 1024      // batches of a job that aren't complete
	maxStateBytes    = 512 << 20 // all jobs, see job.size
	maxJobBytes      = 64 << 20  // header, values and batches of a job
	jobShare         = 256 << 10 // of those, what is kept free for each job that runs
	maxValues        = 10_000    // of a job
	maxExecutors     = 1000
	maxLostExecutors = 100 // the longest lost are forgotten
	MaxDrivers       = 7
	MaxReason        = 16 << 10 // bytes of why a job ended
	MaxName          = 128      // bytes of a name or an address
	MaxArgs          = 1024     // of a job
	MaxArgBytes      = 96 << 10 // Linux takes 128 KiB for one argument
	MaxSlots         = 4096     // of an executor
	maxRefusals      = 8        // executors of a job whose reasons are kept whole
	MaxReasonText    = 4 << 10  // bytes of why an executor refuses a job
	shortReason      = 64       // bytes of those of others
)

// MaxCompletions bounds the completions of a job that aren't recorded yet: they go
// into one command.
const MaxCompletions = 1 << 16

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
	if j.State.Final() {
		return n
	}
	return n + max(j.Bytes, jobShare)
}

// room makes sure that n bytes more fit into the state.
func (s *State) room(n int) error {
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
