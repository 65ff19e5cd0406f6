package modelstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Catalog is the part of a bucket in which programs leave versions of models for jobs that
// follow them by name. It is safe for concurrent use. Close ends its use.
type Catalog struct{ store *Store }

// catalogPart is its directory; those of jobs are numbers.
const catalogPart = "published"

// catalogKept is how many versions of a model a catalog keeps: who follows it has that many
// publications' time to read one.
const catalogKept = 8

// OpenCatalog opens a store's catalog. A directory is made if it isn't there.
func OpenCatalog(ctx context.Context, address string) (*Catalog, error) {
	s, err := open(ctx, address, catalogPart)
	if err != nil {
		return nil, err
	}
	return &Catalog{s}, nil
}

// Close releases the connection.
func (c *Catalog) Close() error { return c.store.Close() }

// String returns the store's address.
func (c *Catalog) String() string { return c.store.String() }

// entry is a line of a catalog.
type entry struct {
	number uint64 // a later one is higher
	digest string
}

func (e entry) name() string { return fmt.Sprintf("%016x-%s", e.number, e.digest) }

func (c *Catalog) key(model, name string) string { return c.store.prefix + model + "/entries/" + name }

// entries returns a model's lines, the oldest first.
func (c *Catalog) entries(ctx context.Context, model string) ([]entry, error) {
	names, err := c.store.keys(ctx, c.key(model, ""))
	if err != nil {
		return nil, fmt.Errorf("reading what was published of model %s in %s: %w", model, c, err)
	}
	all := make([]entry, len(names))
	for i, name := range names {
		if len(name) < 17 || name[16] != '-' {
			return nil, fmt.Errorf("%w: %s in %s is no entry of a catalog", ErrDamaged, c.key(model, name), c)
		}
		n, err := strconv.ParseUint(name[:16], 16, 64)
		if err = errors.Join(err, checkDigest(name[17:])); err != nil {
			return nil, fmt.Errorf("%w: %s in %s is no entry of a catalog", ErrDamaged, c.key(model, name), c)
		}
		all[i] = entry{n, name[17:]}
	}
	return all, nil
}

// Newest returns the version of a model that was published last, "" if none was.
func (c *Catalog) Newest(ctx context.Context, model string) (digest string, err error) {
	all, err := c.entries(ctx, model)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[len(all)-1].digest, nil
}

// Get returns a version's file; see [Store.Get].
func (c *Catalog) Get(ctx context.Context, model, digest string) ([]byte, error) {
	return c.store.Get(ctx, model, digest)
}

// Publish makes a version the newest of its model, unless it is that already: a program that
// is started over publishes once. Old versions are removed.
func (c *Catalog) Publish(ctx context.Context, model string, file []byte, now time.Time) (digest string, err error) {
	if err := CheckName(model); err != nil {
		return "", err
	}
	digest = Digest(file)
	all, err := c.entries(ctx, model)
	if err != nil {
		return "", err
	}
	next := entry{uint64(now.UnixNano()), digest}
	if n := len(all); n > 0 {
		if all[n-1].digest == digest {
			return digest, nil
		}
		next.number = max(next.number, all[n-1].number+1) // clocks differ
	}
	if err := c.store.Put(ctx, model, digest, file); err != nil {
		return "", err
	}
	if err := c.store.bucket.Write(ctx, c.key(model, next.name()), []byte(digest)); err != nil {
		return "", fmt.Errorf("publishing version %.12s of model %s in %s: %w", digest, model, c, err)
	}
	return digest, c.prune(ctx, model, append(all, next))
}

// prune removes old lines, and files that none of the others names.
func (c *Catalog) prune(ctx context.Context, model string, all []entry) error {
	old := max(0, len(all)-catalogKept)
	kept := make(map[string]bool, catalogKept)
	for _, e := range all[old:] {
		kept[e.digest] = true
	}
	for _, e := range all[:old] {
		if err := c.store.bucket.Remove(ctx, c.key(model, e.name())); err != nil {
			return fmt.Errorf("removing an old entry of model %s from %s: %w", model, c, err)
		}
		if !kept[e.digest] {
			if err := c.store.Delete(ctx, model, e.digest); err != nil {
				return err
			}
		}
	}
	return nil
}
