package state

import (
	"fmt"
	"slices"

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
	jobBytes   = 1 << 10 // with all that is bounded and small
	argBytes   = 8
	valueBytes = 32
	batchBytes = 64
	doneBytes  = 64 // an output of a batch: a job's record stays below the values that a message may hold
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

// recorded is what a job's log counts for: its Bytes, added up.
func (j *Job) recorded() int {
	n := len(j.Header) + len(j.Last.Data)
	for _, v := range j.Values {
		n += valueBytes + len(v.Name) + len(v.Data)
	}
	for _, p := range j.Pending {
		n += batchBytes + len(p.Data) + doneBytes*len(p.Done)
	}
	return n
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

// growth returns by how many bytes completions make a job's log grow; it is below
// 0 when they end batches.
func (j *Job) growth(done []wire.Completion) (n int) {
	ended := make(map[uint64]bool)
	for _, c := range done {
		if at, found := j.pending(c.Seq); found && c.Output == wire.AllOutputs && !ended[c.Seq] {
			ended[c.Seq] = true
			n -= batchBytes + len(j.Pending[at].Data) + doneBytes*len(j.Pending[at].Done)
		}
	}
	added := make(map[wire.Completion]bool)
	for _, c := range done {
		at, found := j.pending(c.Seq)
		if !found || ended[c.Seq] || added[c] {
			continue
		}
		if _, known := slices.BinarySearch(j.Pending[at].Done, c.Output); !known {
			added[c] = true
			n += doneBytes
		}
	}
	return n
}

// refusal bounds what an executor says when it refuses a job.
func (j *Job) refusal(reason string) string {
	if len(j.Refused) >= maxRefusals {
		return wire.Clip(reason, shortReason)
	}
	return wire.Clip(reason, MaxReasonText)
}
