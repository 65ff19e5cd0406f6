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
	size     int64
	modified time.Time
}

// maxEntries bounds the files of a list.
const maxEntries = 4 << 20

// entries returns what a directory holds, by name.
func (b *Bucket) entries(ctx context.Context, dir string) ([]entry, error) {
	var list []entry
	var err error
	if b.isLocal() {
		list, err = b.localEntries(dir)
	} else {
		list, err = b.blobEntries(ctx, dir)
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return list, explained("listing", b.Name(dir), err)
}

// localEntries reads a directory of the file system: the driver's list would pass over
// what can't be read, and take a link for a file as long as its name.
func (b *Bucket) localEntries(dir string) ([]entry, error) {
	in, err := os.ReadDir(b.path(dir))
	if err != nil {
		return nil, err
	}
	list := make([]entry, 0, len(in))
	for _, e := range in {
		if isHidden(e.Name()) && e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		info, err := os.Stat(b.path(path.Join(dir, e.Name())))
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0:
			continue // it went meanwhile
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
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
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
			list = append(list, entry{name, o.IsDir, o.Size, o.ModTime})
		}
	}
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
	o := Output{bucket: b, dir: dir}
	m, err := o.manifest(ctx, list)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(e entry) bool {
		return isHidden(e.name) || m != nil && isPart(e.name) && !m.lists(e.name)
	}), nil
}
