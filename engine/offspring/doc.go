// Package offspring ends the processes that a process has started, and those that they
// have started, also when they have left its process group and session.
//
// A process that adopts (Linux: a subreaper) becomes the parent of each of its
// descendants whose own parent dies. So nothing that a job starts gets out of the tree
// below the job's process, and when that dies, not out of the tree below its daemon.
package offspring
