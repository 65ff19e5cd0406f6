// Package kernel decides which task runs where and what happens when one fails.
// It is a step machine without I/O: an [Event] goes in with the time at which it
// happened, a list of [Action] comes out. It starts no goroutine, reads no
// clock and knows nothing of what tasks compute, so a run can be replayed from
// its events.
//
// What the caller owes: all events from one goroutine, with times that don't go
// back; every action carried out, in order, before the next Step; one [TaskEnded]
// for each [Launch], unless the executor is reported lost before; a [Tick] at or
// after the time of a [Wake]; a [JobCut] for each [CutAgain], unless the job ends.
//
// # Stages
//
// A batch's stages form a graph: a stage reads the outputs of its parents. A
// stage is idle while no job needs it, waits while outputs it reads are missing,
// and is active while its tasks are launched. Each time it becomes active is a
// stage attempt. Invariants:
//
//   - An active stage's parents are complete. Losing an output of a parent makes
//     the stage wait.
//   - A partition has at most one attempt that counts at a time, over all stage
//     attempts. So a late success of an earlier stage attempt counts, and a second
//     failed fetch starts no second map task.
//   - Lost output is computed again when a stage that reads it has a task to
//     launch, not before: tasks that are running may have read it already.
//   - An attempt that was told to die, or whose executor was lost, never counts,
//     whatever is heard of it later.
//
// # What is cached
//
// A job's stages are cut from its lineage by the caller, who may stop where all
// partitions are cached: a stage that reads those has fewer parents, or none. The
// kernel knows of it only that some executors are preferred, [Stage.Holders], and that
// a block may turn out to be gone. Then the stage waits, and [CutAgain] asks for the
// stages as they are by now. So jobs may name the same map stage with different
// parents. A stage that a job needs keeps the parents that it has and gets what others
// name as well; a job needs all that its stages have as parents, whoever named them.
//
// What is cached of an indeterminate RDD goes when a stage that computed it is rolled
// back. Other jobs may have read it, without having that stage's parents: stages that
// name the same of these RDDs, [Stage.Unsteady], are rolled back together. So no job
// reads one that was computed before and one that was computed after.
//
// Work for one event is proportional to what it changes, but for a lost executor:
// that looks at all tasks of the batches not yet forgotten.
package kernel
