package serializers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// Option changes what a load expects.
type Option func(*options)

type options struct {
	prefix       string
	allowExtra   bool
	allowMissing bool
	limits       npz.Limits
}

// Prefix loads only the values whose keys start with prefix, and takes the
// prefix off. Prefix("predictor/") loads the net out of a saved Classifier,
// Prefix("updater/model:main/") the model out of a Trainer's snapshot.
func Prefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// AllowExtra accepts values in the file that the object doesn't have.
func AllowExtra() Option { return func(o *options) { o.allowExtra = true } }

// AllowMissing accepts that the file lacks values; the object keeps its own.
func AllowMissing() Option { return func(o *options) { o.allowMissing = true } }

// MaxBytes bounds the uncompressed size of the file (default 2 GiB).
func MaxBytes(n int64) Option { return func(o *options) { o.limits.MaxBytes = n } }

// SaveNPZ saves object to the file at path, which appears whole or not at all.
func SaveNPZ(path string, object Stateful) error {
	entries, err := collect(object)
	if err != nil {
		return fmt.Errorf("saving %s: %w", path, err)
	}
	return npz.WriteFile(path, entries)
}

// WriteNPZ writes object to w as an npz. Equal values give equal bytes.
func WriteNPZ(w io.Writer, object Stateful) error {
	entries, err := collect(object)
	if err != nil {
		return err
	}
	return npz.Write(w, entries)
}

// LoadNPZ loads object from the file at path. It fails, and changes nothing,
// unless every value of the object is in the file with its shape and the file
// holds nothing else; options relax that.
func LoadNPZ(path string, object Stateful, opts ...Option) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("loading weights: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := ReadNPZ(f, info.Size(), object, opts...); err != nil {
		return fmt.Errorf("loading %s: %w", path, err)
	}
	return nil
}

// LoadNPZBytes is LoadNPZ for a file in memory, such as an embedded one.
func LoadNPZBytes(b []byte, object Stateful, opts ...Option) error {
	return ReadNPZ(bytes.NewReader(b), int64(len(b)), object, opts...)
}

// ReadNPZ is LoadNPZ for size bytes of r.
func ReadNPZ(r io.ReaderAt, size int64, object Stateful, opts ...Option) error {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	archive, err := npz.Open(r, size, o.limits)
	if err != nil {
		return err
	}
	return restore(archive, object, o)
}

func collect(object Stateful) ([]npz.Entry, error) {
	f := &file{saving: true}
	object.Serialize(&Serializer{file: f})
	if len(f.errs) == 0 && len(f.entries) == 0 {
		return nil, ErrEmpty
	}
	return f.entries, errors.Join(f.errs...)
}

// restore checks everything first and changes the object only if all is well. Only
// arrays that the object asks for, and that fit it, are decoded.
func restore(archive *npz.Archive, object Stateful, o options) error {
	f := &file{archive: archive, keys: map[string]string{}, used: map[string]bool{}}
	names := archive.Names()
	for _, full := range names {
		if name, ok := strings.CutPrefix(full, o.prefix); ok {
			f.keys[strings.TrimPrefix(name, "/")] = full
		}
	}
	if len(f.keys) == 0 && len(names) > 0 {
		return fmt.Errorf("no key starts with %q; the file has %s", o.prefix, list(names))
	}
	object.Serialize(&Serializer{file: f})
	if err := f.problems(o); err != nil {
		return err
	}
	for _, then := range f.then {
		if err := then(); err != nil {
			return err
		}
	}
	return nil
}

// problems puts what was found together: misfits one by one, missing and extra
// keys as lists.
func (f *file) problems(o options) error {
	var errs []error
	var missing, extra []string
	for _, err := range f.errs {
		if errors.Is(err, ErrMissing) {
			missing = append(missing, strings.TrimSuffix(err.Error(), ": "+ErrMissing.Error()))
		} else {
			errs = append(errs, err)
		}
	}
	for key := range f.keys {
		if !f.used[key] {
			extra = append(extra, key)
		}
	}
	slices.Sort(extra)
	if len(missing) > 0 && !o.allowMissing {
		errs = append(errs, fmt.Errorf("%w: %s", ErrMissing, list(missing)))
		if prefix := commonPrefix(missing, extra); prefix != "" {
			errs = append(errs, fmt.Errorf("the file has them below %q: load with serializers.Prefix(%q)", prefix, o.prefix+prefix))
		}
	}
	if len(extra) > 0 && !o.allowExtra {
		errs = append(errs, fmt.Errorf("%w: %s", ErrExtra, list(extra)))
	}
	return errors.Join(errs...)
}

// commonPrefix is what stands before every missing key among the others in the
// file, "" if there is no such thing: what a Classifier or a Trainer puts before
// the keys of its network.
func commonPrefix(missing, extra []string) string {
	for _, key := range extra {
		prefix, ok := strings.CutSuffix(key, "/"+missing[0])
		if !ok {
			continue
		}
		prefix += "/"
		if !slices.ContainsFunc(missing, func(m string) bool { return !slices.Contains(extra, prefix+m) }) {
			return prefix
		}
	}
	return ""
}

// list writes keys, the first dozen of a long list.
func list(keys []string) string {
	const most = 12
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}
