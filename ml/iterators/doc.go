// Package iterators cuts data sets into mini-batches, over and over for
// training or once for testing. An iterator's place is part of a trainer's
// snapshot, so a resumed run sees the batches that it would have seen.
package iterators
