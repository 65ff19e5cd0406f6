package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TextFileStream declares a stream of the lines of files that appear in a directory, without
// their ends, as [rdd.TextFile] reads them: files whose name ends in .gz, .zst or .bz2 are
// decompressed, and large ones are cut into parts of 64 MiB. What is there when the job
// starts is read, too, unless the option [NewOnly] is given.
//
// Options of [Reading]: [rdd.MinPartitions], [rdd.SplitSize], [rdd.MaxLine].
func TextFileStream(ssc *engine.StreamingContext, dir string, opts ...Option) *engine.DStream[string] {
	d := newDirectory(ssc, "TextFileStream", dir, opts, estimated)
	return declare(ssc, d, func(sc *rdd.Context) *rdd.FileReader[string] {
		return rdd.TextReader(sc, d.op, d.options.reading...)
	})
}

// BinaryRecordsStream declares a stream of the records of files that appear in a directory,
// each of so many bytes (Spark's binaryRecordsStream). A file that ends within a record fails
// the batch.
//
// Options of [Reading]: [rdd.MinPartitions], [rdd.SplitSize].
func BinaryRecordsStream(ssc *engine.StreamingContext, dir string, bytes int, opts ...Option) *engine.DStream[[]byte] {
	d := newDirectory(ssc, "BinaryRecordsStream", dir, opts, func(size int64) int64 { return size / max(1, int64(bytes)) })
	return declare(ssc, d, func(sc *rdd.Context) *rdd.FileReader[[]byte] {
		return rdd.BinaryRecordsReader(sc, d.op, bytes, d.options.reading...)
	})
}

// FileStream declares a stream of what decode makes of each file that appears in a directory,
// for formats that aren't lines. decode runs on executors, and is given the file's path and
// its bytes, 1 GiB at most, decompressed if its name ends in .gz, .zst or .bz2. A file for which
// it returns an error, or panics, is a bad record: [rdd.OnBadRecord] says what becomes of it,
// by default the batch fails.
//
// Options of [Reading]: [rdd.MinPartitions], [rdd.OnBadRecord]; an [rdd.DeadLetter] is given
// the path and the bytes, a Pair[string, []byte].
func FileStream[T any](ssc *engine.StreamingContext, dir string, decode func(path string, data []byte) ([]T, error), opts ...Option) *engine.DStream[T] {
	d := newDirectory(ssc, "FileStream", dir, opts, estimated)
	if decode == nil {
		ssc.Fail(d.op, rdd.ErrNilFunction)
		decode = func(string, []byte) ([]T, error) { return nil, rdd.ErrNilFunction }
	}
	var bad []rdd.TryOption
	var reading []rdd.FileOption
	for _, o := range d.options.reading {
		if b, ok := o.(rdd.TryOption); ok {
			bad = append(bad, b)
		} else {
			reading = append(reading, o)
		}
	}
	whole := declare(ssc, d, func(sc *rdd.Context) *rdd.FileReader[rdd.Pair[string, []byte]] {
		return rdd.WholeReader(sc, d.op, reading...)
	}, decode)
	return engine.TryFlatMap(whole, func(f rdd.Pair[string, []byte]) ([]T, error) {
		rows, err := decode(f.Key, f.Value)
		if err != nil {
			err = fmt.Errorf("%s: %w", f.Key, err)
		}
		return rows, err
	}, bad...)
}

// estimated returns how many records a file of so many bytes counts as whose records nobody
// knows.
func estimated(size int64) int64 { return (size + 99) / 100 }

// directory is what a stream of files watches.
type directory struct {
	op      string // the stream's name
	at      files.Address
	options options
	records func(size int64) int64 // of a file of so many bytes
	log     *slog.Logger
}

// newDirectory returns the directory that a program has given. What is wrong with it, or with
// options, fails the program.
func newDirectory(ssc *engine.StreamingContext, name, dir string, opts []Option, records func(size int64) int64) *directory {
	d := &directory{op: fmt.Sprintf("files.%s(%s)", name, dir), records: records, log: ssc.Logger()}
	var wrong, err error
	d.at, wrong = files.Parse(dir)
	if d.options, err = optionsOf(opts); wrong == nil {
		wrong = err
	}
	if wrong == nil && ssc.Durable() && !strings.Contains(dir, "://") && !filepath.IsAbs(dir) {
		wrong = errRelative
	}
	if wrong != nil {
		ssc.Fail(d.op, wrong)
	}
	if d.options.bad.skip {
		d.options.reading = append(d.options.reading, rdd.OnBadFile(rdd.DeadLetter(d.skipped)))
	}
	return d
}

// skipped says that a file is left out.
func (d *directory) skipped(p rdd.Part, f files.File, err error) error {
	d.log.Warn("files: what can't be read of a file is left out", "stream", d.op, "batch", p.Batch, "file", f.Path, "error", err)
	return nil
}

// errRelative is why a directory isn't taken.
var errRelative = errors.New("it is a relative path, and the job's processes, or those that go on after a restart, may work in other directories: give an absolute path or a URL")

// declare declares the stream of a directory's files. functions are those of the user.
func declare[T any](ssc *engine.StreamingContext, d *directory, reader func(*rdd.Context) *rdd.FileReader[T], functions ...any) *engine.DStream[T] {
	dry := rdd.NewContext(lineage.NewLineage(0, ssc.DefaultParallelism()), nil)
	in := &input[T]{d, reader(dry)}
	for _, err := range dry.Lineage().Errs() {
		if of, ok := errors.AsType[*rdd.OpError](err); ok {
			err = of.Err // Fail says the same of its place
		}
		ssc.Fail(d.op, err)
	}
	return engine.NewInput(ssc, d.op, in, functions...)
}

// input is the input of a stream of files.
type input[T any] struct {
	*directory
	reader *rdd.FileReader[T]
}

// Open opens the bucket. It fails if that can't be listed; a directory that isn't there is
// awaited.
func (in *input[T]) Open(ctx context.Context) (engine.Planner, error) {
	return openPlanner(ctx, in.directory)
}

// Generate makes the partitions of the batch's files.
func (in *input[T]) Generate(encoded []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	list, err := in.batchFiles(encoded)
	if err != nil {
		return 0, nil, err
	}
	partitions, read := in.reader.Partitions(list)
	return partitions, read, nil
}

// Positions says how many files were read.
func (in *input[T]) Positions(encoded []byte) ([]engine.Position, error) {
	e, err := decode(encoded)
	return []engine.Position{{Source: in.at.String(), Next: e.Total}}, err
}

// batchFiles returns the files that a batch reads.
func (d *directory) batchFiles(encoded []byte) ([]files.File, error) {
	e, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	list := make([]files.File, len(e.Names))
	for i, f := range e.files() {
		list[i] = files.File{Path: d.at.Join(f.name).String(), Size: f.size}
	}
	return list, nil
}

// File is a file that a batch reads.
type File = files.File

// Of returns the files that the batch b reads of d, a stream of files or one that is made of
// such, e.g. to move them away some time after the batch is complete: those of each stream of files in the order
// in which the program declares them. Of windows and states they are those of the batch alone. b
// is the batch that an output, Transform or PerBatch gives to a function of the program; after a
// restart it has the same files.
func Of[T any](b engine.Batch, d *engine.DStream[T]) ([]File, error) {
	var all []File
	for _, in := range engine.InputRangesOf[lists](b, d) {
		list, err := in.Input.batchFiles(in.Ranges)
		if err != nil {
			return nil, fmt.Errorf("batch %d: %w", b.Seq, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// lists is an input of this package.
type lists interface {
	batchFiles(encoded []byte) ([]files.File, error)
}
