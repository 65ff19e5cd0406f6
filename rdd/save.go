package rdd

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Overwrite replaces what is in the directory. What was there counts until all is written;
// then its files whose name begins with part- are removed, and no others. A program that may
// start over, since its driver may die on a cluster, needs it.
func Overwrite() FileOption {
	return fileOption{"Overwrite", func(f *fileOptions) { f.overwrite = true }}
}

// Gzip compresses the files of [SaveAsTextFile] with gzip.
func Gzip() FileOption {
	return fileOption{"Gzip", func(f *fileOptions) { f.compression = gzipped }}
}

// Zstd compresses the files of [SaveAsTextFile] with Zstandard.
func Zstd() FileOption {
	return fileOption{"Zstd", func(f *fileOptions) { f.compression = zstandard }}
}

// SaveAsTextFile writes the elements to files in a directory, or in what stands for one in a
// bucket, given by path or URL: a line each, formatted by fmt.Sprint, a file for each
// partition. A string or []byte is written as it is; those that hold line ends are read
// back as several lines.
//
// A directory that holds anything is an error that says [files.ErrExists], unless the option
// [Overwrite] is given. The files are there to be read when SaveAsTextFile returns nil: each
// attempt of a task writes one of its own, and the last file that is written, _SUCCESS,
// lists those that count. [TextFile] reads no others and refuses a directory that isn't
// whole; other programs find no _SUCCESS there.
//
// Options: [Overwrite], [Gzip], [Zstd].
func SaveAsTextFile[T any](r *RDD[T], dir string, opts ...FileOption) error {
	o, err := begin(r, "saveAsTextFile")
	if err != nil {
		return err
	}
	f := o.fileOptions(opts, "Overwrite", "Gzip", "Zstd")
	suffix := ".txt" + f.compression.suffix()
	_, _, err = save(o, r, beginning(dir, f.overwrite), files.Manifest{Kind: "text"}, suffix, func(to io.Writer) (sink[T], error) {
		return newTextSink[T](to, f.compression)
	})
	return err
}

// SaveAsObjectFile writes the elements to files in a directory, as [SaveAsTextFile] does, but
// encoded with msgpack, for [ObjectFile] to read.
//
// Options: [Overwrite].
func SaveAsObjectFile[T any](r *RDD[T], dir string, opts ...FileOption) error {
	o, err := begin(r, "saveAsObjectFile")
	if err != nil {
		return err
	}
	f := o.fileOptions(opts, "Overwrite")
	_, _, err = saveObjects(o, r, beginning(dir, f.overwrite), files.Manifest{Kind: "objects"})
	return err
}

// saveObjects saves files of objects.
func saveObjects[T any](o op, r *RDD[T], begin func(context.Context) (begunOutput, error), m files.Manifest) (begunOutput, []files.Part, error) {
	codec, err := encoding.For[T]()
	if err != nil {
		return begunOutput{}, nil, o.error(err)
	}
	m.Type = typeName[T]()
	return save(o, r, begin, m, ".objects", func(to io.Writer) (sink[T], error) {
		return newObjectWriter(codec, to)
	})
}

// sink writes elements to a file.
type sink[T any] interface {
	add(v T) error
	finish() error
}

// save writes the elements of each partition to a file.
func save[T any](o op, r *RDD[T], begin func(context.Context) (begunOutput, error), m files.Manifest, suffix string, open func(io.Writer) (sink[T], error)) (begunOutput, []files.Part, error) {
	return o.save(r.node, begin, m, suffix, writing(r, open))
}

// writing returns what writes the elements of a partition to what open opens.
func writing[T any](r *RDD[T], open func(io.Writer) (sink[T], error)) writePartition {
	return func(tc *task.Context, p int, to io.Writer) (n int64, unread, err error) {
		out, err := open(to)
		if err != nil {
			return 0, nil, err
		}
		r.Compute(tc, p)(func(v T, failed error) bool {
			if unread = failed; failed != nil {
				return false
			}
			n++
			err = out.add(v)
			return err == nil
		})
		if err == nil && unread == nil {
			err = out.finish()
		}
		return n, unread, err
	}
}

// writePartition writes the n elements of a partition. unread is why they can't be
// computed, err why they can't be written.
type writePartition func(tc *task.Context, partition int, to io.Writer) (n int64, unread, err error)

// save writes a file for each partition in three steps: the driver begins the output, tasks
// write, the driver commits what those wrote that count.
func (o op) save(final *lineage.Node, begin func(context.Context) (begunOutput, error), m files.Manifest, suffix string, write writePartition) (to begunOutput, parts []files.Part, err error) {
	if err := o.sc.lineage.Err(); err != nil {
		return to, nil, err
	}
	codec, err := encoding.For[files.Part]()
	if err != nil {
		return to, nil, o.error(err)
	}
	if to, err = onFiles(o, begin); err != nil {
		return to, nil, err
	}
	results, failed := o.sc.run(o.writes(final, codec, suffix, write, func(*task.Context) begunOutput { return to }))
	if failed == nil {
		m.Parts, failed = DecodeRows(codec, results)
	}
	_, err = onFiles(o, func(ctx context.Context) (bool, error) { return true, to.end(ctx, &m, failed == nil) })
	return to, m.Parts, cmp.Or(failed, err)
}

// writes returns the action whose tasks write a file each to an output, and return it as the
// manifest lists it.
func (o op) writes(final *lineage.Node, codec encoding.Codec[files.Part], suffix string, write writePartition, to func(tc *task.Context) begunOutput) lineage.Action {
	return o.action(final, func(tc *task.Context, p int) ([]byte, error) {
		part, unread, err := to(tc).writePart(tc, p, suffix, write)
		if unread != nil {
			return nil, unread
		}
		var result []byte
		if err == nil {
			result, err = codec.Append(nil, part)
		}
		if err != nil {
			return nil, lineage.OfAction(err)
		}
		return result, nil
	})
}

// beginning returns what begins an output in a directory.
func beginning(dir string, overwrite bool) func(context.Context) (begunOutput, error) {
	return func(ctx context.Context) (begunOutput, error) {
		a, err := files.Parse(dir)
		if err != nil {
			return begunOutput{}, err
		}
		return beginOutput(ctx, a, newNonce(), overwrite)
	}
}

// newNonce returns what no other job has.
func newNonce() string { return rand.Text()[:12] }

// begunOutput is an output that tasks write to.
type begunOutput struct {
	Dir   string // its address
	Nonce string
}

// beginOutput begins an output, on the driver.
func beginOutput(ctx context.Context, a files.Address, nonce string, overwrite bool) (begunOutput, error) {
	b := begunOutput{a.String(), nonce}
	out, err := files.OpenOutput(ctx, a, nonce)
	if err != nil {
		return b, err
	}
	err = out.Begin(ctx, overwrite)
	if errors.Is(err, files.ErrExists) {
		err = fmt.Errorf("%w; choose another one, remove it, or replace it with rdd.Overwrite()", err)
	}
	return b, errors.Join(err, out.Close())
}

// end commits an output, on the driver, or aborts it.
func (b begunOutput) end(ctx context.Context, m *files.Manifest, commit bool) error {
	a, err := files.Parse(b.Dir)
	if err != nil {
		return err
	}
	out, err := files.OpenOutput(ctx, a, b.Nonce)
	if err != nil {
		return err
	}
	if commit {
		err = out.Commit(ctx, m)
	} else {
		err = out.Abort(ctx)
	}
	return errors.Join(err, out.Close())
}

// writePart writes the file of one attempt, in a task. unread is why the partition can't be
// computed.
func (to begunOutput) writePart(tc *task.Context, p int, suffix string, write writePartition) (part files.Part, unread, err error) {
	a, err := files.Parse(to.Dir)
	if err != nil {
		return part, nil, err
	}
	b, err := bucketOf(tc, a)
	if err != nil {
		return part, nil, err
	}
	w, err := files.OutputIn(b, a, to.Nonce).Create(tc.Context, tc.Partition, tc.Attempt, tc.Epoch, suffix)
	if err != nil {
		return part, nil, err
	}
	defer w.Abort() // unless it is committed
	n, unread, err := write(tc, p, w)
	if err != nil || unread != nil {
		return part, unread, err
	}
	tc.Metrics.RecordsWritten += n
	part, err = w.CommitPart(n)
	return part, nil, err
}

// textSink writes a line for each element.
type textSink[T any] struct {
	out    *bufio.Writer
	packed io.Closer // nil if it isn't compressed
	write  func(T) error
}

// newTextSink begins a file of lines.
func newTextSink[T any](to io.Writer, c compression) (*textSink[T], error) {
	s := &textSink[T]{}
	switch c {
	case gzipped:
		z := gzip.NewWriter(to)
		to, s.packed = z, z
	case zstandard:
		z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		to, s.packed = z, z
	}
	s.out = bufio.NewWriterSize(to, textBlock)
	switch write := any(&s.write).(type) {
	case *func(string) error:
		*write = func(v string) error { _, err := s.out.WriteString(v); return err }
	case *func([]byte) error:
		*write = func(v []byte) error { _, err := s.out.Write(v); return err }
	default:
		s.write = func(v T) error { _, err := fmt.Fprint(s.out, v); return err }
	}
	return s, nil
}

func (s *textSink[T]) add(v T) error {
	if err := s.write(v); err != nil {
		return err
	}
	return s.out.WriteByte('\n')
}

func (s *textSink[T]) finish() error {
	if err := s.out.Flush(); err != nil || s.packed == nil {
		return err
	}
	return s.packed.Close()
}
