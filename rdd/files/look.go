package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"
)

// Found is a file as a look into a directory found it.
type Found struct {
	Name     string // below the directory, with slashes
	Size     int64
	Modified time.Time
	Nowhere  bool // it is a link that leads nowhere, of which nothing else is known
}

// Look returns the files that a directory holds, those that [List] takes for data: in the
// order of their names, and with recursive those of its directories, too. Links that lead
// nowhere are among them, marked: they are no reason not to see the others. A directory
// in which an [Output] is begun and not finished counts as empty. Where there is no such
// directory the error says [ErrMissing]; a bucket knows no directories, so there it is empty.
func (b *Bucket) Look(ctx context.Context, dir string, recursive bool) ([]Found, error) {
	var found []Found
	var look func(below string) error
	look = func(below string) error {
		list, err := b.allEntries(ctx, path.Join(dir, below))
		if below != "" && errors.Is(err, ErrMissing) { // it went meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		list, err = b.data(ctx, path.Join(dir, below), list)
		if errors.Is(err, ErrUnfinished) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range list {
			name := path.Join(below, e.name)
			switch {
			case len(found) == maxEntries:
				return fmt.Errorf("%w: more than %d files below %s", ErrTooLarge, maxEntries, b.Name(dir))
			case !e.isDir:
				found = append(found, Found{name, e.size, e.modified, e.nowhere})
			case recursive:
				if err := look(name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := look("")
	return found, err
}
