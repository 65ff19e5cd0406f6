package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strings"
)

// Output is a directory that tasks write together: each attempt of a task writes a file of
// its own, and only the files that the manifest lists count. The manifest comes last, so
// what was killed leaves a directory that doesn't look whole.
type Output struct {
	bucket *Bucket
	dir    string
	nonce  string // of the job: in the names of the parts
}

// OpenOutput returns the output at an address for the job with a nonce: letters and digits
// that no other job has. Close ends its use.
func OpenOutput(ctx context.Context, a Address, nonce string) (*Output, error) {
	b, err := a.Open(ctx)
	if err != nil {
		return nil, err
	}
	return OutputIn(b, a, nonce), nil
}

// OutputIn is OpenOutput for a bucket that is open.
func OutputIn(b *Bucket, a Address, nonce string) *Output { return &Output{b, a.Key, nonce} }

// Close closes the bucket.
func (o *Output) Close() error { return o.bucket.Close() }

// String returns the output's address.
func (o *Output) String() string { return o.bucket.Name(o.dir) }

// Begin begins the output, before tasks write to it. A directory that holds anything is an
// error that says [ErrExists] unless it is to be replaced; what it holds counts until Commit
// then.
func (o *Output) Begin(ctx context.Context, replace bool) error {
	e, found, err := o.bucket.find(ctx, o.dir)
	switch {
	case err != nil:
		return err
	case found && !e.isDir:
		return fmt.Errorf("%w: %s is a file", ErrExists, o)
	case found && !replace:
		if err := o.checkEmpty(ctx); err != nil {
			return err
		}
	}
	return o.bucket.write(ctx, path.Join(o.dir, startedName), []byte(o.nonce), !replace)
}

// checkEmpty returns an error unless the directory holds nothing.
func (o *Output) checkEmpty(ctx context.Context) error {
	list, err := o.bucket.entries(ctx, o.dir)
	if err != nil || len(list) == 0 {
		return err
	}
	what := ""
	if has(list, startedName) && !has(list, manifestName) {
		what = ", begun by a job that was killed or still runs"
	}
	return fmt.Errorf("%w: %s has %d files and directories%s", ErrExists, o, len(list), what)
}

func has(list []entry, name string) bool {
	return slices.ContainsFunc(list, func(e entry) bool { return e.name == name })
}

// PartWriter writes the file of one attempt.
type PartWriter struct {
	*Writer
	part Part
}

// Create begins the file of an attempt of a partition. epoch is that of who launched it.
func (o *Output) Create(ctx context.Context, partition, attempt int, epoch uint64, suffix string) (*PartWriter, error) {
	name := fmt.Sprintf("%s%05d-%s-%d.%d%s", partPrefix, partition, o.nonce, epoch, attempt, suffix)
	w, err := o.bucket.Create(ctx, path.Join(o.dir, name))
	if err != nil {
		return nil, err
	}
	return &PartWriter{w, Part{Name: name}}, nil
}

// Write implements io.Writer.
func (w *PartWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.part.Bytes += int64(n)
	w.part.Sum = crc32.Update(w.part.Sum, castagnoli, p[:n])
	return n, err
}

// CommitPart makes the file visible and returns it as the manifest lists it.
func (w *PartWriter) CommitPart(records int64) (Part, error) {
	w.part.Records = records
	return w.part, w.Commit()
}

// Commit ends the output: m lists what counts. Parts that it doesn't list, of attempts that
// failed or of what is replaced, are removed; one that can't be doesn't count all the same.
// A job that has begun the output since then is left alone, however late this one comes.
func (o *Output) Commit(ctx context.Context, m *Manifest) error {
	c := commit{Output: o, m: m}
	if err := c.check(ctx); err != nil {
		return err
	}
	err := c.publish(ctx)
	if errors.Is(err, ErrExists) { // of one that began before this one, or after it
		if err = c.check(ctx); err == nil {
			err = c.publish(ctx)
		}
	}
	if err != nil {
		return err
	}
	return c.tidy(ctx)
}

// Abort removes the files that the job wrote. What a directory held before counts as it did.
func (o *Output) Abort(ctx context.Context) error {
	mine := fmt.Sprintf("-%s-", o.nonce)
	err := o.removeParts(ctx, func(name string) bool { return strings.Contains(name, mine) })
	return errors.Join(err, o.end(ctx))
}

// Remove removes the output: first its manifest, so that what is left of it if that fails
// doesn't look whole.
func (o *Output) Remove(ctx context.Context) error {
	for _, name := range []string{manifestName, startedName} {
		if err := o.bucket.Remove(ctx, path.Join(o.dir, name)); err != nil {
			return err
		}
	}
	if err := o.removeFiles(ctx, func(name string) bool { return isPart(name) || isLeft(name) }); err != nil {
		return err
	}
	return o.bucket.removeDir(o.dir)
}

// isLeft reports whether a file is what a killed process has left that wrote one of the
// output's own: where files are local they have another name, with more behind, at first.
func isLeft(name string) bool {
	return strings.HasPrefix(name, manifestName+".") || strings.HasPrefix(name, startedName+".")
}

// removeParts removes the parts that satisfy gone.
func (o *Output) removeParts(ctx context.Context, gone func(name string) bool) error {
	return o.removeFiles(ctx, func(name string) bool { return isPart(name) && gone(name) })
}

// removeFiles removes the files that satisfy gone.
func (o *Output) removeFiles(ctx context.Context, gone func(name string) bool) error {
	list, err := o.bucket.entries(ctx, o.dir)
	for _, e := range list {
		if !e.isDir && gone(e.name) {
			err = errors.Join(err, o.bucket.Remove(ctx, path.Join(o.dir, e.name)))
		}
	}
	return err
}

// Manifest returns what the directory's manifest says. One that isn't there is an error.
func (o *Output) Manifest(ctx context.Context) (*Manifest, error) {
	list, err := o.bucket.entries(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	m, err := o.manifest(ctx, list)
	if err == nil && m == nil {
		err = fmt.Errorf("%w: %s has no manifest %s", ErrMissing, o, manifestName)
	}
	return m, err
}

// manifest returns the manifest of a directory with the given entries, nil if it has none
// or one of another program's. Without one, a directory that was begun is an error.
func (o *Output) manifest(ctx context.Context, list []entry) (*Manifest, error) {
	i := slices.IndexFunc(list, func(e entry) bool { return e.name == manifestName })
	switch {
	case i < 0 && has(list, startedName):
		return nil, fmt.Errorf("%w: %s has no %s: the job that began it was killed, or still runs", ErrUnfinished, o, manifestName)
	case i < 0 || list[i].size == 0:
		return nil, nil
	}
	data, err := o.bucket.Read(ctx, path.Join(o.dir, manifestName), maxManifest)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte(manifestMark)) {
		return nil, nil
	}
	m, err := DecodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.bucket.Name(path.Join(o.dir, manifestName)), err)
	}
	return m, nil
}
