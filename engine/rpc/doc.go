// Package rpc makes the connections over which processes call each other's services
// of package wire: servers and clients of gRPC that demand and show what a
// [security.Security] holds, and those of a socket pair, which need nothing.
//
// Any engine-driver may be asked. One that doesn't lead answers with an error that
// wraps [wire.ErrNotLeader] and says where the leader is; [Cluster] goes there.
package rpc
