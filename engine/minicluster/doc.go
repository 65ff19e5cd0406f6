// Package minicluster runs a cluster of real daemons on this machine, for tests
// and benchmarks: engine-driver and engine-executor processes with disks of their
// own, which can be killed, paused and started again.
package minicluster
