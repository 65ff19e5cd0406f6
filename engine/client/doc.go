// Package client is a cluster seen from outside: it submits programs, watches
// and ends jobs, reads their logs and asks who is there. The command
// engine-submit and the package minicluster are made of it.
//
// Any engine-driver's address will do. A [Client] finds the leader and goes on
// with the next one when it changes: a submission is sent again under the same
// id, which makes one job of it, a watch is opened again, a log goes on where
// the job's driver process is now. How long it waits for a leader is its
// patience.
package client
