package rdd

import (
	"context"
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
func objectsIn[T any](o op, list []files.File) *RDD[T] {
	codec, err := encoding.For[T]()
	o.fail(err)
	return made(o, len(list), nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			from, err := openRange(tc, list[p], 0, list[p].Size)
			if err != nil {
				ends(yield, o.error(err))
				return
			}
			defer func() { _ = from.Close() }() // all that was wanted is read
			readObjects(codec, from, func(v T, err error) bool {
				if err != nil {
					return ends(yield, o.error(fmt.Errorf("%s before byte %d: %w", list[p].Path, from.Offset(), err)))
				}
				if tc.Killed() {
					ends(yield, context.Cause(tc))
					return false
				}
				tc.Metrics.RecordsRead++
				return yield(v, nil)
			})
			tc.Metrics.BytesRead += from.Offset()
		}
	})
}
