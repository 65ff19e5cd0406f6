package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// SaveAsTextFiles writes each batch's elements to a directory of its own, as
// [rdd.SaveAsTextFile] does: prefix-TIME, or prefix-TIME.suffix unless suffix is empty, where
// TIME is the batch's in milliseconds since 1970 (with nanoseconds behind a dash, if it isn't
// a whole millisecond); behind a prefix that ends with a slash TIME stands alone. prefix is a
// path or the URL of a bucket that all processes of the job reach: with a checkpoint or on a
// cluster no relative path.
//
// A directory is whole when it holds _SUCCESS, which lists the files that count. A batch that
// runs again after a failure writes the same directory again: what is there is replaced when
// all is written, and what another driver of the job still writes doesn't count.
//
// Options: [rdd.Gzip], [rdd.Zstd].
func SaveAsTextFiles[T any](d *DStream[T], prefix, suffix string, opts ...rdd.FileOption) {
	const op = "saveAsTextFiles"
	saveFiles(d, op, prefix, suffix, func(sc *rdd.Context) *rdd.Saver[T] { return rdd.TextSaver[T](sc, op, opts...) })
}

// SaveAsObjectFiles is [SaveAsTextFiles] for files of elements encoded with msgpack, which
// [rdd.ObjectFile] reads.
func SaveAsObjectFiles[T any](d *DStream[T], prefix, suffix string) {
	const op = "saveAsObjectFiles"
	saveFiles(d, op, prefix, suffix, func(sc *rdd.Context) *rdd.Saver[T] { return rdd.ObjectSaver[T](sc, op) })
}

// saveFiles declares an output that a saver writes.
func saveFiles[T any](d *DStream[T], op, prefix, suffix string, saver func(sc *rdd.Context) *rdd.Saver[T]) {
	dry := newDryContext(1)
	s := saver(dry)
	d.ssc.program.Failed(dry.Lineage().Errs())
	to, err := batchDirectories(prefix, suffix, d.ssc.Durable())
	if err != nil {
		d.ssc.fail(op, err)
		return
	}
	program := d.ssc.program
	nonce := func(a *plan.Allocation) string { return writerOf(a, program.Driver().Epoch) }
	addOutput(d, op, func(g *plan.Generation) lineage.Action {
		return s.Action(d.at(g), op, to(g.Alloc.Time()), func(tc *task.Context) string { return writerOf(g.Alloc, tc.Epoch) })
	}, plan.Output{
		Begin: func(ctx context.Context, a *plan.Allocation) error { return s.Begin(ctx, to(a.Time()), nonce(a)) },
		OnDriver: func(ctx context.Context, a *plan.Allocation, results [][]byte) error {
			return s.Commit(ctx, to(a.Time()), nonce(a), results)
		},
	})
}

// writerOf tells those who write a batch's directory apart: the drivers of its job.
func writerOf(a *plan.Allocation, epoch uint64) string {
	return fmt.Sprintf("j%db%de%d", a.Incarnation, a.Seq, epoch)
}

// errRelative is why a prefix isn't taken.
var errRelative = errors.New("it is a relative path, and the job's processes, or those that go on after a restart, may work in other directories: give an absolute path or a URL")

// batchDirectories returns the address of each batch's directory, by its time.
func batchDirectories(prefix, suffix string, durable bool) (func(at time.Time) string, error) {
	a, err := files.Parse(prefix)
	switch {
	case err != nil:
		return nil, err
	case durable && !strings.Contains(prefix, "://") && !filepath.IsAbs(prefix):
		return nil, fmt.Errorf("%q: %w", prefix, errRelative)
	case strings.HasSuffix(prefix, "/") || a.Key == "":
		a.Key = strings.TrimPrefix(a.Key+"/", "/")
	default:
		a.Key += "-"
	}
	if suffix != "" {
		suffix = "." + suffix
	}
	return func(at time.Time) string {
		dir := a
		dir.Key += fmt.Sprint(at.UnixMilli())
		if rest := at.Nanosecond() % 1e6; rest != 0 {
			dir.Key += fmt.Sprintf("-%06d", rest)
		}
		dir.Key += suffix
		return dir.String()
	}, nil
}
