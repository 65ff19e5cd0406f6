// Package state saves the versions of keyed states and finds them again.
//
// A state is a stream whose RDD holds, in each partition, one element: a version of the
// partition's [keyed.Table]. That of a batch is made from that of the batch before, which
// executors keep. Every now and then the driver's [Keeper] says in an allocation that the
// batch's versions are to be saved; on executors a [Saver] writes them beside the tasks
// that go on, since versions never change, and reports each with the next task that
// succeeds. When a version of every partition is saved the keeper writes a manifest of
// them, and names it in the allocations from then on: so the lineage of a state begins at
// a checkpoint, and what is lost is computed again from there.
package state
