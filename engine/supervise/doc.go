// Package supervise keeps a job executor process alive: it starts another when one
// dies, with back-off, until its program has crashed too often. engine-executor has a
// [Supervisor] for each job that the leader assigns to it; the master local-cluster has
// them without a daemon.
package supervise
