package rdd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// maxWholeFile bounds the bytes of a file that is one element.
const maxWholeFile = 1 << 30

// WholeTextFiles makes an RDD of files, each a pair of its path and its text, decompressed
// if its name ends in .gz, .zst or .bz2. A file may have 1 GiB at most. Files are found as by
// [TextFile]; each partition has several of them, of about as many bytes as others have.
//
// Options: [MinPartitions], [Recursive], [OnBadFile].
func WholeTextFiles(sc *Context, pattern string, opts ...FileOption) *RDD[Pair[string, string]] {
	o := sc.op("wholeTextFiles")
	return filesRead(o, pattern, opts, func(tc *task.Context, f files.File) (string, error) {
		data, err := readWhole(tc, f, openUnpacked)
		return unsafe.String(unsafe.SliceData(data), len(data)), err // nobody else has the bytes
	})
}

// BinaryFiles makes an RDD of files, each a pair of its path and its bytes as they are. A file
// may have 1 GiB at most. Files are found as by [TextFile]; each partition has several of
// them, of about as many bytes as others have.
//
// Options: [MinPartitions], [Recursive], [OnBadFile].
func BinaryFiles(sc *Context, pattern string, opts ...FileOption) *RDD[Pair[string, []byte]] {
	o := sc.op("binaryFiles")
	return filesRead(o, pattern, opts, func(tc *task.Context, f files.File) ([]byte, error) {
		return readWhole(tc, f, func(tc *task.Context, f files.File) (io.ReadCloser, error) {
			return openRange(tc, f, 0, f.Size)
		})
	})
}

// filesRead makes an RDD of what read makes of each file.
func filesRead[T any](o op, pattern string, opts []FileOption, read func(tc *task.Context, f files.File) (T, error)) *RDD[Pair[string, T]] {
	f := o.fileOptions(opts, "MinPartitions", "Recursive", "OnBadFile")
	groups := groupsOf(o.listed(pattern, f.recursive), f.minPartitions)
	return made(o, len(groups), nil, wholeOf(o.badFiles(f.badFile), groups, read))
}

// wholeOf returns what reads groups of files, each file an element.
func wholeOf[T any](bad badFiles, groups [][]files.File, read func(tc *task.Context, f files.File) (T, error)) computeFunc[Pair[string, T]] {
	return func(tc *task.Context, p int) iter.Seq2[Pair[string, T], error] {
		return func(yield func(Pair[string, T], error) bool) {
			for _, f := range groups[p] {
				v, err := read(tc, f)
				if err != nil {
					if ends(yield, bad.readError(tc, f, err)) {
						return
					}
					continue
				}
				tc.Metrics.RecordsRead++
				if !yield(KV(f.Path, v), nil) {
					return
				}
			}
		}
	}
}

// readWhole returns all bytes of a file.
func readWhole[R io.ReadCloser](tc *task.Context, f files.File, open func(*task.Context, files.File) (R, error)) (_ []byte, err error) {
	if err := context.Cause(tc); err != nil {
		return nil, err
	}
	in, err := open(tc, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	data, err := readAll(in, f.Size)
	if len(data) > maxWholeFile {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", files.ErrTooLarge, f.Path, maxWholeFile)
	}
	tc.Metrics.BytesRead += int64(len(data))
	return data, err
}

// readAll reads what has about so many bytes, and no more than one over the bound.
func readAll(in io.Reader, size int64) ([]byte, error) {
	data := make([]byte, 0, min(size, maxWholeFile)+512)
	for len(data) <= maxWholeFile {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := in.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}
