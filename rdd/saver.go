package rdd

import (
	"context"
	"io"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Saver writes RDDs to directories, one after the other: what a stream's output into files is
// made of. [SaveAsTextFile] and [SaveAsObjectFile] are for programs.
//
// For each RDD the driver calls Begin, tasks compute the action, and the driver calls Commit
// with their results. A nonce is letters and digits that tell who writes from whoever wrote to
// the directory before, or still does: what these write doesn't count.
type Saver[T any] struct {
	manifest files.Manifest
	suffix   string
	open     func(io.Writer) (sink[T], error)
	parts    encoding.Codec[files.Part]
}

// TextSaver returns a Saver that writes what [SaveAsTextFile] does. Errors are those of sc,
// of an operator of the given name. Options: [Gzip], [Zstd].
func TextSaver[T any](sc *Context, name string, opts ...FileOption) *Saver[T] {
	o := sc.op(name)
	f := o.fileOptions(opts, "Gzip", "Zstd")
	return newSaver(o, files.Manifest{Kind: "text"}, ".txt"+f.compression.suffix(), func(to io.Writer) (sink[T], error) {
		return newTextSink[T](to, f.compression)
	})
}

// ObjectSaver returns a Saver that writes what [SaveAsObjectFile] does. Errors are those of
// sc, of an operator of the given name.
func ObjectSaver[T any](sc *Context, name string) *Saver[T] {
	o := sc.op(name)
	codec, err := encoding.For[T]()
	o.fail(err)
	return newSaver(o, files.Manifest{Kind: "objects", Type: typeName[T]()}, ".objects", func(to io.Writer) (sink[T], error) {
		return newObjectWriter(codec, to)
	})
}

func newSaver[T any](o op, m files.Manifest, suffix string, open func(io.Writer) (sink[T], error)) *Saver[T] {
	codec, err := encoding.For[files.Part]()
	o.fail(err)
	return &Saver[T]{m, suffix, open, codec}
}

// Begin begins to write to a directory, on the driver. What is there counts until Commit.
func (s *Saver[T]) Begin(ctx context.Context, dir, nonce string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := files.Parse(dir)
	if err == nil {
		_, err = beginOutput(ctx, a, nonce, true)
	}
	return err
}

// Action returns the action that writes r's partitions to a directory that was begun. nonce
// returns Begin's, in a task.
func (s *Saver[T]) Action(r *RDD[T], name, dir string, nonce func(tc *task.Context) string) lineage.Action {
	return r.sc.op(name).writes(r.node, s.parts, s.suffix, writing(r, s.open), func(tc *task.Context) begunOutput {
		return begunOutput{dir, nonce(tc)}
	})
}

// Commit makes what the action's tasks wrote what the directory holds, on the driver: of other
// files there, those whose name begins with part- are removed.
func (s *Saver[T]) Commit(ctx context.Context, dir, nonce string, results [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := s.manifest
	var err error
	if m.Parts, err = DecodeRows(s.parts, results); err != nil {
		return err
	}
	return begunOutput{dir, nonce}.end(ctx, &m, true)
}
