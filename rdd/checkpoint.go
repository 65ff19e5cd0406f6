package rdd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hibana-engine/hibana/rdd/files"
)

// checkpointKind is the kind of a checkpoint's manifest.
const checkpointKind = "checkpoint"

// SetCheckpointDir says where [RDD.Checkpoint] writes: the path of a directory that all
// processes of the job see, or the URL of a bucket.
func (sc *Context) SetCheckpointDir(dir string) { sc.checkpointDir = dir }

// Checkpoint computes the RDD, writes its partitions to files below the directory that
// [Context.SetCheckpointDir] has given, and returns an RDD that reads them: whatever is lost
// later, nothing before it is computed again, and what it was made from may be forgotten.
// Rounds that build on each other need it, or their lineage grows with each. It is an
// action, so unlike Spark's it has been written when Checkpoint returns, and the RDD is
// computed once for it. Partitions, their order and the partitioner are kept.
//
// The files stay when the program ends. [FromCheckpoint] reads them in a later run of the
// program, [ObjectFile] in another program.
func (r *RDD[T]) Checkpoint() (*RDD[T], error) {
	o, err := begin(r, "checkpoint")
	if err != nil {
		return nil, err
	}
	if r.sc.checkpointDir == "" {
		return nil, o.error(fmt.Errorf("%w: there is no place for it: call SetCheckpointDir on the program's context first", ErrCheckpoint))
	}
	m := files.Manifest{Kind: checkpointKind, Program: programPath()}
	to, parts, err := saveObjects(o, r, func(ctx context.Context) (begunOutput, error) {
		a, err := files.Parse(r.sc.checkpointDir)
		if err != nil {
			return begunOutput{}, err
		}
		nonce := newNonce()
		return beginOutput(ctx, a.Join(fmt.Sprintf("rdd-%d-%s", r.node.ID.Ordinal, nonce)), nonce, false)
	}, m)
	if err != nil {
		return nil, err
	}
	list, err := to.list(parts)
	if err != nil {
		return nil, o.error(err)
	}
	return keepingPartitioner(objectsIn[T](o, list), r), nil
}

// list returns the files of an output.
func (b begunOutput) list(parts []files.Part) ([]files.File, error) {
	a, err := files.Parse(b.Dir)
	if err != nil {
		return nil, err
	}
	return filesOf(a, parts), nil
}

// filesOf returns the files that parts are.
func filesOf(dir files.Address, parts []files.Part) []files.File {
	list := make([]files.File, len(parts))
	for i, p := range parts {
		list[i] = files.File{Path: dir.Join(p.Name).String(), Size: p.Bytes}
	}
	return list
}

// FromCheckpoint makes an RDD of what [RDD.Checkpoint] wrote to a directory, one below that
// which [Context.SetCheckpointDir] had given. A checkpoint of another program, of elements
// of another type or of another version, and one that isn't whole, are errors.
func FromCheckpoint[T any](sc *Context, dir string) *RDD[T] {
	o := sc.op("fromCheckpoint")
	list, err := onFiles(o, func(ctx context.Context) (_ []files.File, err error) {
		a, err := files.Parse(dir)
		if err != nil {
			return nil, err
		}
		out, err := files.OpenOutput(ctx, a, "")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		m, err := out.Manifest(ctx)
		if err != nil {
			return nil, err
		}
		return filesOf(a, m.Parts), checkManifest(m, a.String(), typeName[T]())
	})
	if err != nil && sc.lineage.Err() == nil {
		sc.lineage.Fail(err)
	}
	return objectsIn[T](o, list)
}

// checkManifest returns why a program can't use a directory as a checkpoint.
func checkManifest(m *files.Manifest, dir, elements string) error {
	switch {
	case m.Kind != checkpointKind:
		return fmt.Errorf("%w: %s is none: it is an output of kind %q", ErrCheckpoint, dir, m.Kind)
	case m.Program != programPath():
		return fmt.Errorf("%w: %s is of the program %s, this is %s; if it is to read it all the same, use rdd.ObjectFile", ErrCheckpoint, dir, m.Program, programPath())
	case m.Type != elements:
		return fmt.Errorf("%w: %s has elements of type %s, not %s", ErrCheckpoint, dir, m.Type, elements)
	}
	return nil
}

// programPath returns the import path of the program's main package, "" if it isn't known.
func programPath() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Path
}
