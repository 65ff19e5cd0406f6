// Package enginetest is a test kit for programs of the engine. [Operation] runs a
// stream over given batches in virtual time (testing/synctest), through the same
// driver, scheduler and strict local mode that run it in earnest; [Stream] runs one with
// inputs of its own so.
// [ClusterOperation] runs it on executor processes, which are started from the
// test's own binary. [Batch] and [BatchOnCluster] do so with a batch program, [BatchResult]
// does both and compares. With the flag that [Disturb] returns, what they run on loses tasks,
// executors and outputs, as a seed says.
package enginetest
