// Package control is engine-driver: the control plane.
//
// Its rooms build on each other. What the nodes of a cluster agree on is package state:
// which jobs there are, each job's batch log, who its driver is, and which executors
// are there. Package raftgroup makes nodes agree on it, over connections on which each
// knows who the other is. This package is the node that leads, and what all nodes
// serve:
//
//	server.go        a node from its start to its end
//	leadership.go    what a node does while it leads
//	driverrunner.go  a job's driver processes, one after the other
//	jobservice.go    what such a process may ask, over its socket pair; completions.go
//	executors.go     the executors' daemons
//	controlservice.go, submit.go, publish.go, upload.go, inbox.go  engine-submit
//	binaryservice.go, driverservice.go, jobfiles.go  the other drivers; files on disk
//	housekeeping.go, quorum.go  what every node looks after
//
// The leader never runs user code itself. A node that loses the lead kills its jobs'
// driver processes at once; the next leader assigns a new epoch, and the log refuses
// what the old processes still say.
package control
