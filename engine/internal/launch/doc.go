// Package launch runs a job: it prepares the driver's copy of the program,
// brings executors in and hands both to package driver.
//
// Files in the order to read them: job.go and prepare.go (what all masters have in
// common), modelstore.go, local.go (local[N]), cluster.go (executor processes,
// wherever they come from), localcluster.go (local-cluster[N,cores]), raftlog.go,
// driverprocess.go and executorprocess.go (the two roles on a cluster), role.go.
package launch
