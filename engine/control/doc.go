// Package control is engine-driver: the control plane.
//
// The nodes of a cluster form one Raft group. What they agree on is small: which
// jobs there are, each job's batch log, who its driver is, and which executors
// are there (state.go). Everything that changes it is a command, conditional on
// what the proposer knew and harmless when it is applied twice (command.go).
//
// The leader runs each job's driver process from the submitted binary and speaks
// with it over a socket pair (drive.go, jobservice.go). It never runs user code
// itself. A node that loses the lead kills those processes at once; whoever wins
// assigns a new epoch, and the log refuses what the old ones still say.
//
// A node listens on one address. What a client asks for in TLS's handshake says
// whether a connection is for gRPC or for Raft (door.go). A driver is known by its
// data directory, not by its id alone: another one under the id is refused
// (roster.go) until the group has admitted it in place of the one that is lost
// (replace.go).
package control
