package rdd

import (
	"errors"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// ObjectFile makes an RDD of the elements that [SaveAsObjectFile] wrote: pattern is the
// output directory, or several, as for [TextFile]. Each file is a partition, so that the
// RDD has the partitions of the one that was saved. The type must be the same; files of
// another version or type, or that were cut short, fail the task.
//
// Options: [Recursive].
func ObjectFile[T any](sc *Context, pattern string, opts ...FileOption) *RDD[T] {
	o := sc.op("objectFile")
	f := o.fileOptions(opts, "Recursive")
	return objectsIn[T](o, o.listed(pattern, f.recursive))
}

// objectsIn makes an RDD of the elements in files, each of which is a partition.
func objectsIn[T any](o op, list []files.File) *RDD[T] { return objectsWith[T](o, list, "") }

// objectsWith is objectsIn with what to do if a file can't be read, "" for nothing.
func objectsWith[T any](o op, list []files.File, remedy string) *RDD[T] {
	codec, err := encoding.For[T]()
	o.fail(err)
	return made(o, len(list), nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			err := o.readObjects(tc, list[p], typeName[T](), func(frame []byte) (uint64, bool, error) {
				return decodeAll(tc, codec, frame, yield)
			})
			if remedy != "" && (errors.Is(err, files.ErrDamaged) || errors.Is(err, files.ErrMissing)) {
				err = fmt.Errorf("%w; %s", err, remedy)
			}
			ends(yield, err)
		}
	})
}

// readObjects reads a file of elements of the given type, in a task.
func (o op) readObjects(tc *task.Context, f files.File, elements string, decode func(frame []byte) (n uint64, more bool, err error)) error {
	from, err := openRange(tc, f, 0, f.Size)
	if err != nil {
		return o.error(err)
	}
	defer func() { _ = from.Close() }() // all that was wanted is read
	err = readFrames(from, elements, func(frame []byte) (uint64, bool, error) {
		n, more, err := decode(frame)
		tc.Metrics.RecordsRead += int64(n)
		return n, more, err
	})
	tc.Metrics.BytesRead += from.Offset()
	if err != nil {
		return o.error(fmt.Errorf("%s before byte %d: %w", f.Path, from.Offset(), err))
	}
	return nil
}
