// Package control is engine-driver: the control plane.
//
// Its rooms build on each other. What the nodes of a cluster agree on is package state:
// which jobs there are, each job's batch log, who its driver is, and which executors
// are there. Package raftgroup makes nodes agree on it, over connections on which each
// knows who the other is. This package is the node that leads, and what all nodes
// serve:
//
//	node.go            what an engine-driver has whether it leads or not; jobfiles.go,
//	                   incoming.go, programs.go: files on disk, and from other drivers
//	driverrunner.go    a job's driver processes, one after the other; health.go
//	jobservice.go      what such a process may ask, over its socket pair; completions.go,
//	                   publications.go
//	leadership.go      what a node does while it leads: runners.go, daemons.go; lead.go
//	                   says whether it does
//	controlservice.go  engine-submit; submit.go, publish.go, upload.go, inbox.go
//	executorservice.go the executors' daemons
//	driverservice.go   the other drivers
//	housekeeping.go    what every node looks after; quorum.go
//	server.go          an engine-driver from its start to its end
//
// Each file uses those above it. What runs in the leadership, a process or a service has
// the node for what it needs of the group, and keeps its own state.
//
// The leader never runs user code itself. A node that loses the lead kills its jobs'
// driver processes at once; the next leader assigns a new epoch, and the log refuses
// what the old processes still say.
package control
