package kernel

import (
	"fmt"
	"time"
)

// Task names an attempt of a task.
type Task struct {
	Batch     uint64
	Stage     int32
	Partition int32
	Attempt   int32 // counts the launches of the partition from 0
}

// String returns the coordinates, such as 7:m0/3#1 for batch 7, map stage 0,
// partition 3, attempt 1; the result stage of output 0 is r0.
func (t Task) String() string {
	return fmt.Sprintf("%d:%s/%d#%d", t.Batch, stageName(t.Stage), t.Partition, t.Attempt)
}

func stageName(id int32) string {
	if id < 0 {
		return fmt.Sprintf("r%d", -1-id)
	}
	return fmt.Sprintf("m%d", id)
}

// Job names a job: an output of a batch.
type Job struct {
	Batch  uint64
	Output int32
}

// Stage describes a stage of a job to be submitted.
type Stage struct {
	// ID is unique within the batch. It is the shuffle's id for a map stage, above
	// those of its parents, and below 0 for a result stage. Jobs of a batch that
	// name the same map stage share it and describe it alike, but for its parents:
	// who cuts the lineage later may find more or less of it cached.
	ID            int32
	Partitions    int
	Only          []int32 // of a result stage, the partitions to compute, ascending; nil means all
	Parents       []int32 // map stages whose output it reads
	Indeterminate bool    // another attempt may yield other output
	Input         Input   // where its partitions come from
	// Holders are the executors that hold cached blocks which the partitions are
	// computed from, "" for a partition of which none is known. They come before
	// where the input was read last.
	Holders []string
	// Unsteady are the cached RDDs that its tasks compute or read whose partitions another
	// attempt may make otherwise. What is kept of them goes when a stage that names them is
	// rolled back, so all stages of the batch that name one of them are rolled back with it.
	Unsteady []Input
	// Bound says that a task is to run where its holder is as long as that is there and
	// may have a slot within [BoundWait], also after it has failed there.
	Bound bool
}

// Input names a source across batches: partition p of it is best read where it
// was read last.
type Input struct {
	DStream int32
	Ordinal int32
}

// Event is something that happened: [JobSubmitted], [JobCut], [JobCancelled],
// [ExecutorAdded], [ExecutorResized], [ExecutorLost], [TaskEnded], [CommitAsked],
// [BatchesForgotten], [StagesForgotten] or [Tick].
type Event interface{ event() }

// JobSubmitted asks for a job. Stages come parents first, the result stage last.
type JobSubmitted struct {
	Job    Job
	Stages []Stage
}

// JobCut answers [CutAgain] with the job's stages as they are by what is cached now.
// Stages that the job had may have more parents, which may be new.
type JobCut struct {
	Job    Job
	Stages []Stage
}

// JobCancelled asks for a job's end. It is answered with [JobFailed] unless the
// job has ended.
type JobCancelled struct{ Job Job }

// ExecutorAdded says that an executor takes tasks. One of the same name is lost.
type ExecutorAdded struct {
	Executor string
	Slots    int // tasks it runs at once
}

// ExecutorResized says that an executor has another number of slots from now on. What it
// runs goes on, also if that is more.
type ExecutorResized struct {
	Executor string
	Slots    int
}

// ExecutorLost says that an executor is gone with its tasks and outputs. Why it died
// may be known only later: then it is told again, with ByTask.
type ExecutorLost struct {
	Executor string
	ByTask   bool // a task made it die: counts against those it ran
}

// TaskEnded says how a launched task ended.
type TaskEnded struct {
	Executor string
	Task     Task
	How      Ending
	Fetch    Fetch         // for FetchFailed
	Freed    time.Duration // for Succeeded, how long it had no slot any more, which it had freed
}

// Ending is how an attempt ended, as far as decisions depend on it.
type Ending uint8

const (
	Succeeded    Ending = iota
	Failed              // by its own fault: counts against the task
	Interrupted         // through no fault of its own
	FetchFailed         // output that it reads is lost
	Hopeless            // as Failed, and would again: it isn't tried again, unless its stage is indeterminate
	BlockMissing        // a cached block that it reads is gone, and the lineage above was cut off
)

// Fetch says which output an attempt couldn't read.
type Fetch struct {
	Stage     int32 // map stage
	Partition int32 // of the map stage, -1 for all on the executor
	Executor  string
}

// CommitAsked says that an attempt of a result task wants to commit its output. It
// is answered with [CommitAnswer].
type CommitAsked struct {
	Executor string
	Task     Task
}

// BatchesForgotten says that nobody needs the batches before Until any more.
// Their jobs fail.
type BatchesForgotten struct{ Until uint64 }

// StagesForgotten says that no job of a batch will name these stages again: their output
// is gone. Those that a job needs stay.
type StagesForgotten struct {
	Batch  uint64
	Stages []int32
}

// Tick says only what time it is.
type Tick struct{}

func (JobSubmitted) event()     {}
func (JobCut) event()           {}
func (JobCancelled) event()     {}
func (ExecutorAdded) event()    {}
func (ExecutorResized) event()  {}
func (ExecutorLost) event()     {}
func (TaskEnded) event()        {}
func (CommitAsked) event()      {}
func (BatchesForgotten) event() {}
func (StagesForgotten) event()  {}
func (Tick) event()             {}

// Action is a decision: [Launch], [Kill], [Accept], [OutputLost], [RolledBack],
// [CutAgain], [AttemptLost], [JobDone], [JobFailed], [CommitAnswer] or [Wake].
type Action interface{ action() }

// Launch says to run a task. The output of its stage's parents is complete.
type Launch struct {
	Executor string
	Task     Task
	// StageAttempt counts from 0 how often the stage became active. Between two
	// launches with the same one the parents' outputs are the same.
	StageAttempt int32
}

// Kill says to end a task, whose result no longer counts.
type Kill struct {
	Executor string
	Task     Task
}

// Accept says that the success just reported counts: as the partition's result,
// or as the place of the map task's output. It comes once for each partition,
// again only after an [OutputLost]: what a task brings beside its output, such as
// what it added to accumulators, counts exactly then.
type Accept struct {
	Executor string
	Task     Task
	Job      Job // the oldest of those that need it
}

// OutputLost says that a map partition has no output any more.
type OutputLost struct {
	Batch     uint64
	Stage     int32
	Partition int32
}

// RolledBack says that all that a stage computed counts no longer, since it, or what it
// reads, is indeterminate and lost output: what its tasks kept doesn't fit what they will
// compute. It follows the stage's [Kill] and [OutputLost] and comes before its next
// [Launch].
type RolledBack struct {
	Batch uint64
	Stage int32
}

// CutAgain says that a job's stages must be cut again, since cached blocks are gone
// that it relied on. It is answered with [JobCut]; until then the stage that missed
// them waits.
type CutAgain struct {
	Job  Job
	Task Task // that missed one
}

// AttemptLost says that an attempt has ended with its executor. It comes before what follows
// from it.
type AttemptLost struct {
	Executor string
	Task     Task
}

// CommitAnswer says whether an attempt may commit its output. Of a partition's
// attempts one at a time may, until it has ended.
type CommitAnswer struct {
	Executor string
	Task     Task
	Granted  bool
}

// JobDone says that all partitions that the job asked for were accepted.
type JobDone struct{ Job Job }

// JobFailed says that a job was given up.
type JobFailed struct {
	Job      Job
	Why      Why
	Task     Task   // the attempt that decided it, Partition -1 if none did
	Executor string // where that attempt ran
	Tries    int    // launches of that task
}

// Why is the reason for giving up a job.
type Why uint8

const (
	TaskFailures   Why = iota // a task failed too often
	TaskSetbacks              // a task was interrupted too often
	StageFailures             // stage attempts in a row failed to fetch
	ResultReturned            // a result was computed from output that is lost and can't be computed alike
	Cancelled                 // by JobCancelled
	Forgotten                 // by BatchesForgotten, or submitted after it
	Malformed                 // stages that don't name their parents, or differ from what another job named
)

// String returns the reason in a few words.
func (w Why) String() string {
	return [...]string{"task failures", "task setbacks", "stage failures", "result returned", "cancelled", "forgotten", "malformed"}[w]
}

// Wake asks for a [Tick] at a time, in place of any that was asked for earlier.
type Wake struct{ At time.Duration }

func (Launch) action()       {}
func (Kill) action()         {}
func (Accept) action()       {}
func (OutputLost) action()   {}
func (RolledBack) action()   {}
func (CutAgain) action()     {}
func (AttemptLost) action()  {}
func (CommitAnswer) action() {}
func (JobDone) action()      {}
func (JobFailed) action()    {}
func (Wake) action()         {}
