// Package keyed holds the keyed state of one partition, and its checkpoint files.
//
// A [Table] is one version of the state and never changes. An [Edit] makes the next
// version beside it: the two share what the edit leaves alone, several edits may start
// from one version at the same time, and a version can be read, or written to a file,
// while later ones are made. There are no locks and no goroutines: a Table may be used by
// many goroutines, an Edit by one.
//
// A table is an extendible hash table of copied pages. A directory points to segments, a
// segment's 256 slots to pages of up to eight entries, all of them by the leading bits of
// a 64-bit hash. An edit copies what it writes to, once: the directory, the segment, the
// page; the keys of a page are apart from their values, so that a value that is replaced
// copies no keys. Pages are sorted, so that entries come in the order of their hashes
// whatever the table's history was: every attempt, every process and a restored
// checkpoint have the same order.
//
// Each entry has a stamp, the time of the batch that put it last. Lower bounds of the
// stamps in slots, segments and tables find what is older than a time without a look at
// the rest. What was removed is remembered until [Edit.ForgetRemovals], so that
// [Table.Since] can say all that changed.
//
// The values of a table belong to all of its versions: to change what a value refers to,
// put a new value.
package keyed
