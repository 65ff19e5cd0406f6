package rdd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// patience bounds what the driver does with files on its own: listing, and ending an
// output.
const patience = 10 * time.Minute

// onFiles runs f on the driver, as a step whose result every copy of the program is given:
// a process that listed files itself might find others.
func onFiles[T any](o op, f func(ctx context.Context) (T, error)) (v T, err error) {
	if o.sc.runner == nil && o.sc.lineage.Err() == nil {
		return v, o.error(ErrNoFiles)
	}
	return value(o, func() (T, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return f(ctx)
	})
}

// listed returns the files of a pattern, none after an error.
func (o op) listed(pattern string, recursive bool) []files.File {
	list, err := onFiles(o, func(ctx context.Context) ([]files.File, error) { return files.List(ctx, pattern, recursive) })
	if err != nil && o.sc.lineage.Err() == nil {
		o.sc.lineage.Fail(err)
	}
	return list
}

// fileSplit is the part of a file that one task reads.
type fileSplit struct {
	files.File
	from, until int64
}

// splitSlop is how much larger than others the last split of a file may be, so that no
// task reads next to nothing.
const splitSlop = 1.1

// splitsOf cuts files for at least so many tasks, if they are large enough.
func splitsOf(list []files.File, f fileOptions, splittable func(files.File) bool) (splits []fileSplit) {
	var total int64
	for _, file := range list {
		total += file.Size
	}
	size := max(1, min(f.splitSize, (total+int64(f.minPartitions)-1)/int64(f.minPartitions)))
	for _, file := range list {
		from := int64(0)
		if splittable(file) {
			for float64(file.Size-from) > splitSlop*float64(size) {
				splits = append(splits, fileSplit{file, from, from + size})
				from += size
			}
		}
		splits = append(splits, fileSplit{file, from, file.Size})
	}
	return splits
}

// groupsOf spreads whole files over about so many partitions, of neighbours and of about
// as many bytes each.
func groupsOf(list []files.File, n int) (groups [][]files.File) {
	var total, done int64
	for _, file := range list {
		total += file.Size + 1 // that empty ones are spread, too
	}
	n = min(n, len(list))
	for _, file := range list {
		if len(groups) == 0 || done*int64(n) >= total*int64(len(groups)) {
			groups = append(groups, nil)
		}
		last := &groups[len(groups)-1]
		*last = append(*last, file)
		done += file.Size + 1
	}
	return groups
}

// bucketKey is where a process keeps a bucket open.
type bucketKey string

// bucketOf returns the bucket of an address, which the process keeps open.
func bucketOf(tc *task.Context, a files.Address) (*files.Bucket, error) {
	v, err := tc.Process.Resource(bucketKey(a.Bucket()), func() (any, func() error, error) {
		b, err := a.Open(context.WithoutCancel(tc.Context))
		if err != nil {
			return nil, nil, err
		}
		return b, b.Close, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*files.Bucket), nil
}

// openRange opens a part of a file that was listed.
func openRange(tc *task.Context, f files.File, from, length int64) (*files.Reader, error) {
	a, err := files.Parse(f.Path)
	if err != nil {
		return nil, err
	}
	b, err := bucketOf(tc, a)
	if err != nil {
		return nil, err
	}
	r, err := b.Range(tc.Context, a.Key, from, length)
	if errors.Is(err, files.ErrMissing) {
		return nil, fmt.Errorf("%w; it was there when the files were listed: put it back; a batch program that is run again lists them anew", err)
	}
	if err != nil {
		return nil, err
	}
	if r.Size() < f.Size || r.Size() != f.Size && !(isPlain(f) && a.IsLocal()) { // what was appended to a plain one isn't read; an object of a bucket was replaced
		return nil, errors.Join(fmt.Errorf("%w: %s has %d bytes and had %d when the files were listed", files.ErrDamaged, f.Path, r.Size(), f.Size), r.Close())
	}
	return r, nil
}
