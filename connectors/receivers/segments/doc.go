// Package segments keeps records on a disk until they are processed: in a directory of
// segments, to which one process appends, and which tasks on the same machine read. A record has
// a number, from 0, and a batch reads stretches of segments that [Log.Cut] has cut.
//
// A segment is a head and frames (package rdd/frame), each of some records, with checksums. What a
// crash left half written at the end of the newest one is cut off when the log is opened;
// anything else that isn't what was written is an error that says [ErrDamaged].
package segments
