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
// another version or type fail the task, and so do those that were cut short or damaged, unless
// [OnBadFile] says otherwise.
//
// Options: [Recursive], [OnBadFile].
func ObjectFile[T any](sc *Context, pattern string, opts ...FileOption) *RDD[T] {
	o := sc.op("objectFile")
	f := o.fileOptions(opts, "Recursive", "OnBadFile")
	return objectsWith[T](o, o.listed(pattern, f.recursive), o.badFiles(f.badFile).readError)
}

// objectsIn makes an RDD of the elements in files, each of which is a partition.
func objectsIn[T any](o op, list []files.File, remedy string) *RDD[T] {
	return objectsWith[T](o, list, func(_ *task.Context, _ files.File, err error) error {
		if remedy != "" && (errors.Is(err, files.ErrDamaged) || errors.Is(err, files.ErrMissing)) {
			err = fmt.Errorf("%w; %s", err, remedy)
		}
		if err != nil {
			err = o.error(err)
		}
		return err
	})
}

// objectsWith is objectsIn; failed says what the task's error is if reading a file ends with one.
func objectsWith[T any](o op, list []files.File, failed func(tc *task.Context, f files.File, err error) error) *RDD[T] {
	codec, err := encoding.For[T]()
	o.fail(err)
	return made(o, len(list), nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			err := readObjects(tc, list[p], typeName[T](), func(frame []byte) (uint64, bool, error) {
				return decodeAll(tc, codec, frame, yield)
			})
			ends(yield, failed(tc, list[p], err))
		}
	})
}

// readObjects reads a file of elements of the given type, in a task.
func readObjects(tc *task.Context, f files.File, elements string, decode func(frame []byte) (n uint64, more bool, err error)) error {
	from, err := openRange(tc, f, 0, f.Size)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // all that was wanted is read
	err = readFrames(from, elements, func(frame []byte) (uint64, bool, error) {
		n, more, err := decode(frame)
		tc.Metrics.RecordsRead += int64(n)
		return n, more, err
	})
	tc.Metrics.BytesRead += from.Offset()
	switch {
	case errors.Is(err, errCutShort) && from.Offset() < f.Size: // the connection may have ended
		return &cutShort{f.Path, from.Offset()}
	case err != nil:
		return fmt.Errorf("%s before byte %d: %w", f.Path, from.Offset(), err)
	}
	return nil
}
