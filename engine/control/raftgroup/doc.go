// Package raftgroup is an engine-driver as a member of its cluster's Raft group: a
// [Node] keeps the state that all agree on, on its disk, and says who leads.
//
//	replica.go     Raft and the state: propose, record, barrier; fsm.go, timing.go
//	storage.go     Raft's files; watchdog.go ends a node whose disk fails or hangs
//	datadir.go     the data directory and whose it is; reserve.go what stays free
//	greeting.go    what nodes say to each other first; roster.go who is who
//	listener.go    one port for gRPC and Raft; handshakes.go, conns.go, dial.go
//	node.go        all of it, opened, joined and closed
//	replace.go     a new data directory in place of one that is lost
//
// A driver is known by its data directory, not by its id alone: another one under the
// id is refused until the group has admitted it in place of the one that is lost.
package raftgroup
