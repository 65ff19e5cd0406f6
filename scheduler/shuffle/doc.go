// Package shuffle keeps what map tasks write until the reading tasks have it.
//
// An executor has a [Store]: the blocks that its map tasks left behind, by
// batch, shuffle, map partition and attempt, in memory as long as the executor's
// budget has room and else on disk; one that was read whole goes to disk before
// that, when others come. A [Writer] collects the blocks of
// one attempt and commits them at once, so that a failed attempt leaves nothing
// and two attempts never mix. The driver has a [Tracker]: which attempt counts
// for each map partition and where it is. A reading task is given the tracker's
// answer, [Outputs], and reads with a [Reader], in the order of map partitions.
// In a cluster another reader fetches what its own store doesn't hold; it starts
// from the same Outputs.
package shuffle
