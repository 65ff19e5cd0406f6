package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// TextFile makes an RDD of the lines of files, without their ends: \n or \r\n. pattern is
// paths or URLs of buckets, separated by commas, in which *, ?, [a-z] and {a,b} stand for
// what they stand for in a shell; a directory stands for its files. See [files.List].
//
// The driver lists the files when TextFile is called, in a step of the program like an
// action, and executors read what it has found; so in a stream's Transform it is an error.
// Files whose name ends in .gz, .zst or .bz2 are decompressed, each by one task; others are cut
// into parts of 64 MiB (see [SplitSize], [MinPartitions]), and a line belongs to the part
// in which it begins. Partitions are in the order of the files. A file that has gone or has
// shrunk when it is read fails the task, unless [OnBadFile] says otherwise; what is appended to
// one isn't read.
//
// Options: [MinPartitions], [SplitSize], [MaxLine], [Recursive], [OnBadFile].
func TextFile(sc *Context, pattern string, opts ...FileOption) *RDD[string] {
	o := sc.op("textFile")
	f := o.fileOptions(opts, "MinPartitions", "SplitSize", "MaxLine", "Recursive", "OnBadFile")
	splits := splitsOf(o.listed(pattern, f.recursive), f, isPlain)
	return made(o, len(splits), nil, textOf(o.badFiles(f.badFile), splits, f.maxLine))
}

// textOf returns what reads the lines of splits.
func textOf(bad badFiles, splits []fileSplit, maxLine int) computeFunc[string] {
	return func(tc *task.Context, p int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			err := readLines(tc, splits[p], maxLine, func(*lineReader) func(string, error) bool { return yield })
			ends(yield, bad.readError(tc, splits[p].File, err))
		}
	}
}
