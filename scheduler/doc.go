// Package scheduler runs the jobs of a driver: it cuts the lineage of an output
// into stages, gives their tasks to executors and brings the results back.
//
// A [Job] is one output of one batch. [Cut] splits its RDDs at shuffles into
// stages: shuffle-map stages, whose tasks leave blocks behind for other stages,
// and one result stage, whose tasks answer to the driver. A task is named by
// numbers alone, its [TaskID]; the process that runs it has built the same
// lineage and finds there what the numbers mean.
//
// Who decides and who acts are apart. Package kernel is a step machine without
// I/O: events in, decisions out. The [DAGScheduler] is the shell around it, which
// feeds it what happens, one after the other, and does what it says. A [Backend]
// reaches executors; package local has one that runs tasks in this process. A
// [Runner] runs one task on an executor. Package shuffle keeps what map tasks
// leave behind.
//
// # Failures
//
// How a task ended is data, an [Outcome], and says whether it counts against
// the task. Four counted failures of one task fail the job. A lost executor counts
// only against the tasks that made it die, which a backend may know later than
// that it is lost: it reports that loss again. A failed fetch is
// never the reading task's fault: the map tasks whose output is lost run again,
// then the reading tasks that aren't done. Four stage attempts in a row that
// failed this way fail the job.
//
// # What is cached
//
// A task's success says which cached partitions its executor has stored and dropped since
// the one before; [Blocks] remembers where. A job's lineage is cut at RDDs that are cached whole: what is above
// them has no stages, and the tasks prefer the executors that hold the partitions. An
// executor may have dropped one meanwhile. Then the task computes it from the map
// output above, if that is there still; it was given it. Else it reads a shuffle that
// it wasn't given and ends as [BlockMissing], which isn't its fault: the job is cut
// again by what is known then. A job that is cut for the fifth time relies on nothing
// cached.
//
// Partitions of an indeterminate RDD are dropped when a stage that computed them is rolled
// back: [Backend].DropCached.
//
// Jobs that are to be cancelled together are submitted with one context: there is no
// group with a name.
package scheduler
