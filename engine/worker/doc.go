// Package worker is engine-executor. A [Supervisor] keeps one job executor
// process alive; the daemon that [Run] runs has one for each job that the leader
// assigns to it. The master local-cluster uses supervisors without a daemon.
//
// The daemon follows whichever engine-driver leads. Without a leader its
// processes go on: they belong to the job, whose driver finds them again after a
// failover with their caches. A process is ended only when a leader says that its
// job isn't to run here any more, or with the daemon.
package worker
