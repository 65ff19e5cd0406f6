// Package worker is engine-executor. The daemon that [Run] runs keeps a job executor
// process, with a [supervise.Supervisor], for each job that the leader assigns to it.
//
// The daemon follows whichever engine-driver leads. Without a leader its
// processes go on: they belong to the job, whose driver finds them again after a
// failover with their caches. A process is ended only when a leader says that its
// job isn't to run here any more, or with the daemon.
package worker
