// Package launch runs a job: it prepares the driver's copy of the program,
// brings executors in and hands both to package driver.
//
// Files in the order to read them: farewell.go (how long a process's end waits),
// job.go, prepare.go and run.go (what all masters have in common), typedlog.go
// (allocations as a batch log's bytes), modelstore.go, local.go (local[N]), cluster.go
// (executor processes, wherever they come from), localcluster.go
// (local-cluster[N,cores]), raftlog.go, driverprocess.go and executorprocess.go (the
// two roles on a cluster), role.go.
package launch
