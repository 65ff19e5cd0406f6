package rdd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// checkpointKind is the kind of a checkpoint's manifest.
const checkpointKind = "checkpoint"

// SetCheckpointDir says where [RDD.Checkpoint] and [RDD.CheckpointAs] write: the path of a
// directory that all processes of the job see, or the URL of a bucket.
func (sc *Context) SetCheckpointDir(dir string) { sc.checkpointDir = dir }

// Checkpoint computes the RDD, writes its partitions to files below the directory that
// [Context.SetCheckpointDir] has given, and returns an RDD that reads them: whatever is lost
// later, nothing before it is computed again, and what it was made from may be forgotten.
// Rounds that build on each other need it, or their lineage grows with each. It is an
// action, so unlike Spark's it has been written when Checkpoint returns, and the RDD is
// computed once for it. Partitions, their order and the partitioner are kept.
//
// The files stay when the program ends, in a directory whose name nobody chooses. A program
// that is to go on from there in a later run uses [RDD.CheckpointAs].
func (r *RDD[T]) Checkpoint() (*RDD[T], error) {
	o, err := begin(r, "checkpoint")
	if err != nil {
		return nil, err
	}
	return checkpointAt(o, r, false, func(dir files.Address, nonce string) files.Address {
		return dir.Join(fmt.Sprintf("rdd-%d-%s", r.node.ID.Ordinal, nonce))
	})
}

// checkpointAt writes a checkpoint to a directory that at chooses below the context's.
func checkpointAt[T any](o op, r *RDD[T], replace bool, at func(dir files.Address, nonce string) files.Address) (*RDD[T], error) {
	list, err := o.checkpoint(replace, at, func(begin func(context.Context) (begunOutput, error)) (begunOutput, []files.Part, error) {
		return saveObjects(o, r, begin, files.Manifest{Kind: checkpointKind, Program: programPath(), Hash: hashedOver(r.node)})
	})
	if err != nil {
		return nil, err
	}
	return keepingPartitioner(objectsIn[T](o, list, ""), r), nil
}

// hashedOver returns over how many partitions the keys of a node are hashed, 0 if they aren't.
func hashedOver(n *lineage.Node) int {
	if p, ok := n.Partitioner.(HashPartitioner); ok {
		return p.N
	}
	return 0
}

// checkpoint has save write the elements of an RDD, and returns the files.
func (o op) checkpoint(replace bool, at func(dir files.Address, nonce string) files.Address, save func(func(context.Context) (begunOutput, error)) (begunOutput, []files.Part, error)) ([]files.File, error) {
	if err := o.checkpointDir(); err != nil {
		return nil, err
	}
	to, parts, err := save(func(ctx context.Context) (begunOutput, error) {
		a, err := files.Parse(o.sc.checkpointDir)
		if err != nil {
			return begunOutput{}, err
		}
		nonce := newNonce()
		return beginOutput(ctx, at(a, nonce), nonce, replace)
	})
	if err != nil {
		return nil, err
	}
	list, err := to.list(parts)
	if err != nil {
		return nil, o.error(err)
	}
	return list, nil
}

// checkpointDir returns an error if the program has said of no place for checkpoints.
func (o op) checkpointDir() error {
	if o.sc.checkpointDir == "" {
		return o.error(fmt.Errorf("%w: there is no place for it: call SetCheckpointDir on the program's context first", ErrCheckpoint))
	}
	return nil
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

// FromCheckpoint makes an RDD of what [RDD.Checkpoint] or [RDD.CheckpointAs] wrote to a
// directory: one below that which [Context.SetCheckpointDir] had given, which for CheckpointAs
// is NAME/NUMBER. A checkpoint of another program, of elements of another type or of another
// version, and one that isn't whole, are errors. Keys that were hashed still are; another
// partitioner isn't known any more. [LastCheckpoint] finds the directory by itself, and
// [ObjectFile] reads it in another program.
func FromCheckpoint[T any](sc *Context, dir string) *RDD[T] {
	o := sc.op("fromCheckpoint")
	found, err := onFiles(o, func(ctx context.Context) (_ foundCheckpoint, err error) {
		a, err := files.Parse(dir)
		if err != nil {
			return foundCheckpoint{}, err
		}
		b, err := a.Open(ctx)
		if err != nil {
			return foundCheckpoint{}, err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		return readCheckpoint(ctx, b, a, typeName[T]())
	})
	if err != nil && sc.lineage.Err() == nil {
		sc.lineage.Fail(err)
	}
	return inCheckpoint[T](o, found)
}

// foundCheckpoint is a checkpoint that is whole.
type foundCheckpoint struct {
	Number int          // under its name, 0 for none
	Hash   int          // over how many partitions keys are hashed, 0 if they aren't
	Files  []files.File // by partition
	Remedy string       // what to do if one of them can't be read, "" for nothing
}

// readCheckpoint finds the files of a checkpoint in a bucket, on the driver.
func readCheckpoint(ctx context.Context, b *files.Bucket, at files.Address, elements string) (foundCheckpoint, error) {
	m, err := files.OutputIn(b, at, "").Manifest(ctx)
	if err != nil {
		return foundCheckpoint{}, err
	}
	return foundCheckpoint{Hash: m.Hash, Files: filesOf(at, m.Parts)}, checkManifest(m, at.String(), elements)
}

// inCheckpoint makes the RDD of a checkpoint.
func inCheckpoint[T any](o op, c foundCheckpoint) *RDD[T] {
	r := objectsIn[T](o, c.Files, c.Remedy)
	if c.Hash > 0 && c.Hash == len(c.Files) {
		r.node.Partitioner = HashPartitioner{N: c.Hash}
	}
	return r
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
