// Package worker starts and watches job executor processes. A [Supervisor] keeps
// one process of a job alive; the [Daemon] of engine-executor has one for each
// job that the leader assigns to it. The master local-cluster uses supervisors
// without a daemon.
package worker
