// Package remote carries tasks and shuffle blocks between the processes of a
// job.
//
// On the driver a [Backend] keeps a stream to each job executor process and
// implements scheduler.Backend over it. On the executor a [Server] answers: it
// runs tasks in slots and serves the blocks that they left behind to the other
// executors, whose tasks read them with a [Reader].
//
// An executor is named ID@host:port ([Name]): a process that was started anew
// is another executor, and whoever is told where a block is knows whom to ask.
//
// # Fencing
//
// A driver introduces itself with incarnation and epoch. An executor serves the
// highest epoch that it has seen: a newer driver ends the older one's stream and
// tasks, an older one is refused. What a process keeps, models, readers, cached
// partitions, stays; shuffle blocks belong to the epoch that wrote them.
//
// # When a stream breaks
//
// The driver takes the executor's tasks and blocks for lost and connects again,
// with back-off, until the executor is no longer a member. The executor kills
// the tasks of the stream and waits for the next driver.
package remote
