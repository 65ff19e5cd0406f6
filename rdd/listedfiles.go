package rdd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// FileReader reads files that were listed before, one list after the other: what a stream
// of files is made of. [TextFile] and its kind are for programs.
type FileReader[T any] struct {
	cut func(list []files.File) (partitions int, read computeFunc[T])
}

// Partitions returns the number of partitions that a list of files makes and how a task
// reads one. It does no I/O, and depends on the list alone.
func (r *FileReader[T]) Partitions(list []files.File) (n int, read func(tc *task.Context, partition int) iter.Seq2[T, error]) {
	return r.cut(list)
}

// leastPart is how small parts may be for more parallelism, unless a program asks for a
// number of partitions: a stream's files are often small.
const leastPart = 1 << 20

// forList returns the options for a list of files.
func (f fileOptions) forList(list []files.File) fileOptions {
	if !f.given["MinPartitions"] {
		var total int64
		for _, file := range list {
			total += file.Size
		}
		f.minPartitions = int(max(1, min(int64(f.minPartitions), total/leastPart)))
	}
	return f
}

// TextReader returns a FileReader that reads what [TextFile] does; small files aren't cut.
// Errors are those of sc, of an operator of the given name. Options: [MinPartitions],
// [SplitSize], [MaxLine], [OnBadFile].
func TextReader(sc *Context, name string, opts ...FileOption) *FileReader[string] {
	o := sc.op(name)
	f := o.fileOptions(opts, "MinPartitions", "SplitSize", "MaxLine", "OnBadFile")
	bad := o.badFiles(f.badFile)
	return &FileReader[string]{func(list []files.File) (int, computeFunc[string]) {
		splits := splitsOf(list, f.forList(list), isPlain)
		return len(splits), textOf(bad, splits, f.maxLine)
	}}
}

// WholeReader returns a FileReader that reads what [BinaryFiles] does, decompressed if the
// name ends in .gz, .zst or .bz2. Errors are those of sc, of an operator of the given name.
// Options: [MinPartitions], [OnBadFile].
func WholeReader(sc *Context, name string, opts ...FileOption) *FileReader[Pair[string, []byte]] {
	o := sc.op(name)
	f := o.fileOptions(opts, "MinPartitions", "OnBadFile")
	bad := o.badFiles(f.badFile)
	return &FileReader[Pair[string, []byte]]{func(list []files.File) (int, computeFunc[Pair[string, []byte]]) {
		groups := groupsOf(list, f.minPartitions)
		return len(groups), wholeOf(bad, groups, func(tc *task.Context, f files.File) ([]byte, error) { return readWhole(tc, f, openUnpacked) })
	}}
}

// BinaryRecordsReader returns a FileReader of records that have so many bytes each, from 1 to
// 64 MiB. A file that ends within one fails the task. Files whose name ends in .gz, .zst
// or .bz2 are decompressed, each by one task; others are cut as those of [TextFile] are. Errors
// are those of sc, of an operator of the given name. Options: [MinPartitions], [SplitSize],
// [OnBadFile].
func BinaryRecordsReader(sc *Context, name string, bytes int, opts ...FileOption) *FileReader[[]byte] {
	o := sc.op(name)
	f := o.fileOptions(opts, "MinPartitions", "SplitSize", "OnBadFile")
	bad := o.badFiles(f.badFile)
	if bytes < 1 || bytes > mostRecord {
		o.fail(fmt.Errorf("%w: records of %d bytes; from 1 to %d are possible", ErrArgument, bytes, mostRecord))
		bytes = 1
	}
	return &FileReader[[]byte]{func(list []files.File) (int, computeFunc[[]byte]) {
		splits := splitsOf(list, f.forList(list), isPlain)
		return len(splits), func(tc *task.Context, p int) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				ends(yield, bad.readError(tc, splits[p].File, readRecords(tc, splits[p], bytes, yield)))
			}
		}
	}}
}

// mostRecord bounds the records of files of them.
const mostRecord = 64 << 20

// readRecords yields the records that begin in a split. An error is about the file, or says
// that the task was killed.
func readRecords(tc *task.Context, s fileSplit, size int, yield func([]byte, error) bool) (err error) {
	from, until := s.within(size)
	if from >= until {
		return nil
	}
	in, err := openRecords(tc, s, from, until)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // all that was wanted is read
	r := bufio.NewReaderSize(in, textBlock)
	var block []byte // records are parts of one, which is never used again
	for at := from; at < until; at += int64(size) {
		if tc.Killed() {
			return context.Cause(tc)
		}
		if len(block) < size {
			block = make([]byte, max(1, recordBlock/size)*size)
		}
		n, err := io.ReadFull(r, block[:size])
		tc.Metrics.BytesRead += int64(n)
		switch {
		case errors.Is(err, io.EOF) && !isPlain(s.File):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, files.ErrDamaged):
			return Permanent(fmt.Errorf("%w: %s ends within a record of %d bytes, which begins at byte %d", files.ErrDamaged, s.Path, size, at))
		case err != nil:
			return err
		}
		tc.Metrics.RecordsRead++
		if !yield(block[:size:size], nil) {
			return nil
		}
		block = block[size:]
	}
	return nil
}

// recordBlock is about how many bytes of records share their memory.
const recordBlock = 64 << 10

// within returns from where until where the records lie that begin in a split: until the
// end of the file they may go on beyond it.
func (s fileSplit) within(size int) (from, until int64) {
	if !isPlain(s.File) {
		return 0, math.MaxInt64
	}
	n := int64(size)
	return (s.from + n - 1) / n * n, min((s.until+n-1)/n*n, s.Size)
}

// openRecords opens what a split's records lie in.
func openRecords(tc *task.Context, s fileSplit, from, until int64) (io.ReadCloser, error) {
	if isPlain(s.File) {
		return openPlain(tc, s.File, from, until)
	}
	return openUnpacked(tc, s.File)
}
