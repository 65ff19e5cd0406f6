package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// File is a file as it was found.
type File struct {
	Path string // its address, as Parse takes it
	Size int64
}

// entry is a file or a directory in a directory.
type entry struct {
	name     string
	isDir    bool
	nowhere  bool // it is a link whose end isn't there
	size     int64
	modified time.Time
}

// maxEntries bounds the files of a list.
const maxEntries = 4 << 20

// entries returns what a directory holds, by name. A link that leads nowhere is an error.
func (b *Bucket) entries(ctx context.Context, dir string) ([]entry, error) {
	list, err := b.allEntries(ctx, dir)
	if i := slices.IndexFunc(list, func(e entry) bool { return e.nowhere }); i >= 0 {
		return nil, fmt.Errorf("listing %s: %w: the link %s leads nowhere", b.Name(dir), ErrMissing, list[i].name)
	}
	return list, err
}

// allEntries is entries with links that lead nowhere.
func (b *Bucket) allEntries(ctx context.Context, dir string) ([]entry, error) {
	var list []entry
	var err error
	if b.isLocal() {
		list, err = b.localEntries(ctx, dir)
	} else {
		list, err = b.blobEntries(ctx, dir)
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return list, explained("listing", b.Name(dir), err)
}

// localEntries reads a directory of the file system: the driver's list would pass over
// what can't be read, and take a link for a file as long as its name.
func (b *Bucket) localEntries(ctx context.Context, dir string) ([]entry, error) {
	in, err := os.ReadDir(b.path(dir))
	if err != nil {
		return nil, err
	}
	list := make([]entry, 0, len(in))
	for _, e := range in {
		if ctx.Err() != nil { // a file's size and time may come from afar
			return nil, context.Cause(ctx)
		}
		if isHidden(e.Name()) && e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		info, err := os.Stat(b.path(path.Join(dir, e.Name())))
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0:
			continue // it went meanwhile
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, entry{name: e.Name(), nowhere: true})
		case err != nil:
			return nil, err
		case info.IsDir():
			list = append(list, entry{name: e.Name(), isDir: true})
		case info.Mode().IsRegular():
			list = append(list, entry{name: e.Name(), size: info.Size(), modified: info.ModTime()})
		}
	}
	return list, nil
}

// blobEntries lists the keys that begin with a directory's.
func (b *Bucket) blobEntries(ctx context.Context, dir string) ([]entry, error) {
	prefix := prefixOf(dir)
	var list []entry
	for it := b.blobs.List(&blob.ListOptions{Prefix: prefix, Delimiter: "/"}); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if len(list) == maxEntries {
			return nil, fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
		}
		if name := strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/"); name != "" {
			list = append(list, entry{name: name, isDir: o.IsDir, size: o.Size, modified: o.ModTime})
		}
	}
}

// prefixOf returns what the keys within a directory begin with.
func prefixOf(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

// HoldsAny reports whether a directory is there and holds anything.
func (b *Bucket) HoldsAny(ctx context.Context, dir string) (any bool, err error) {
	if b.isLocal() {
		d, err := os.Open(b.path(dir))
		if err == nil {
			_, err = d.Readdirnames(1)
			err = errors.Join(err, d.Close())
		}
		if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, explained("listing", b.Name(dir), err)
	}
	_, err = b.blobs.List(&blob.ListOptions{Prefix: prefixOf(dir)}).Next(ctx)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, explained("listing", b.Name(dir), err)
}

// find returns the file or directory at a key; found says that there is one.
func (b *Bucket) find(ctx context.Context, key string) (e entry, found bool, err error) {
	if b.isLocal() {
		info, err := os.Stat(b.path(key))
		if errors.Is(err, fs.ErrNotExist) {
			return e, false, nil
		}
		if err != nil {
			return e, false, explained("looking for", b.Name(key), err)
		}
		return entry{isDir: info.IsDir(), size: info.Size()}, true, nil
	}
	if key != "" {
		a, err := b.blobs.Attributes(ctx, key)
		if err == nil {
			return entry{size: a.Size}, true, nil
		}
		if gcerrors.Code(err) != gcerrors.NotFound {
			return e, false, explained("looking for", b.Name(key), err)
		}
	}
	any, err := b.hasBelow(ctx, key)
	return entry{isDir: true}, any || key == "", err
}

// hasBelow reports whether there is a key within a directory of a bucket.
func (b *Bucket) hasBelow(ctx context.Context, dir string) (bool, error) {
	_, err := b.blobs.List(&blob.ListOptions{Prefix: strings.TrimPrefix(dir+"/", "/")}).Next(ctx)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, explained("listing", b.Name(dir), err)
}

// isHidden reports whether a file isn't one of data, by its name, as Hadoop has it.
func isHidden(name string) bool { return name[0] == '_' || name[0] == '.' }

// visible returns the files and directories of a directory that are data: not those whose
// name begins with _ or a point and, if an [Output] has a manifest there, of its parts
// those that this lists.
func (b *Bucket) visible(ctx context.Context, dir string) ([]entry, error) {
	list, err := b.entries(ctx, dir)
	if err != nil {
		return nil, err
	}
	return b.data(ctx, dir, list)
}

// data returns those of a directory's entries that are visible.
func (b *Bucket) data(ctx context.Context, dir string, list []entry) ([]entry, error) {
	o := Output{bucket: b, dir: dir}
	m, err := o.manifest(ctx, list)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(e entry) bool {
		return isHidden(e.name) || m != nil && isPart(e.name) && !m.lists(e.name)
	}), nil
}
