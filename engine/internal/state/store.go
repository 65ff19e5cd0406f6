package state

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// Errors of this package, for errors.Is.
var (
	// ErrDamaged: a file of a checkpoint isn't what was written.
	ErrDamaged = errors.New("the checkpoint of a state is damaged")
	// ErrLost: no checkpoint of a state can be read.
	ErrLost = errors.New("the checkpoint of a state is lost")
	// ErrNoStore: the job has no place for checkpoints.
	ErrNoStore = errors.New("the job has no store for checkpoints of its states: start it with --conf checkpoint.store=URL, a place that every node of the cluster reaches")
)

// patience is how long the store may take for one file.
const patience = 5 * time.Minute

// maxManifest bounds a manifest, in bytes.
const maxManifest = 64 << 20

// Store is where a job's checkpoints are: a part of a bucket or directory. It is safe for
// concurrent use. Close ends its use.
type Store struct {
	bucket *files.Bucket
	dir    string
}

// Open opens the store at an address for the job with an incarnation.
func Open(ctx context.Context, address string, incarnation uint64) (*Store, error) {
	a, err := files.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the store of checkpoints: %w", err)
	}
	b, err := a.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the store of checkpoints: %w", err)
	}
	return &Store{b, path.Join(a.Key, fmt.Sprint(incarnation))}, nil
}

// Close releases the connection.
func (s *Store) Close() error { return s.bucket.Close() }

// Manifest lists the files of a checkpoint.
type Manifest struct {
	State      string           `msgpack:"state"`
	Seq        uint64           `msgpack:"seq"`
	TimeNanos  int64            `msgpack:"time"`
	Spread     string           `msgpack:"spread"` // how keys are spread over the partitions
	Types      string           `msgpack:"types"`
	Partitions []SavedPartition `msgpack:"parts"`
	Planner    uint64           `msgpack:"by,omitempty"` // epoch of the driver that planned the batch
}

// SavedPartition lists the files of one partition: a base and the deltas that follow it.
type SavedPartition struct {
	Files []File `msgpack:"f"`
}

// File is one file of a checkpoint. Its contents have checksums of their own.
type File struct {
	Name  string `msgpack:"n"`
	Bytes int64  `msgpack:"b"`
}

// Size adds up the sizes of the manifest's files.
func (m *Manifest) Size() (base, deltas int64) {
	for _, p := range m.Partitions {
		for i, f := range p.Files {
			if i == 0 {
				base += f.Bytes
			} else {
				deltas += f.Bytes
			}
		}
	}
	return base, deltas
}

// names adds the names of a checkpoint's files, its manifest's among them, to a set.
func (m *Manifest) names(to map[string]bool, c plan.Checkpoint) {
	to[c.Manifest] = true
	for _, p := range m.Partitions {
		for _, f := range p.Files {
			to[f.Name] = true
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *Store) key(state, name string) string { return path.Join(s.dir, state, name) }

// write writes a file of a state.
func (s *Store) write(ctx context.Context, state, name string, data []byte) (File, error) {
	if err := s.bucket.MakeDir(path.Join(s.dir, state)); err != nil {
		return File{}, fmt.Errorf("making a directory for checkpoints: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return File{name, int64(len(data))}, s.bucket.Write(ctx, s.key(state, name), data)
}

// Open opens a file that a manifest lists.
func (s *Store) Open(ctx context.Context, state string, f File) (io.ReadCloser, error) {
	return s.bucket.Range(ctx, s.key(state, f.Name), 0, -1)
}

// Unreadable returns the error of a file that can't be read for what is in it, or isn't
// there: it says what can be done.
func (s *Store) Unreadable(state string, c plan.Checkpoint, name string, err error) error {
	return fmt.Errorf("%w: %s: %w; put the file back, or move the manifest %s away: then the job begins from the checkpoint before it",
		ErrDamaged, s.Where(state, name), err, s.Where(state, c.Manifest))
}

// look returns an error if files that a manifest lists aren't there, or aren't as long as
// they were written.
func (s *Store) look(ctx context.Context, m *Manifest, c plan.Checkpoint) error {
	sizes, err := s.bucket.Sizes(ctx, s.key(m.State, ""))
	if err != nil {
		return err
	}
	for _, p := range m.Partitions {
		for _, f := range p.Files {
			switch n, there := sizes[f.Name]; {
			case !there:
				return s.Unreadable(m.State, c, f.Name, files.ErrMissing)
			case n != f.Bytes:
				return s.Unreadable(m.State, c, f.Name, fmt.Errorf("it has %d bytes, of %d that were written", n, f.Bytes))
			}
		}
	}
	return nil
}

// IsDamage reports whether an error says that a checkpoint can't be read for what is in its
// files, or that one isn't there.
func IsDamage(err error) bool {
	for _, damage := range []error{ErrDamaged, keyed.ErrCorrupt, keyed.ErrTruncated, keyed.ErrNotTable, keyed.ErrSequence, keyed.ErrOtherTable, files.ErrMissing} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

// Where returns the address of a file of a state, for people.
func (s *Store) Where(state, name string) string { return s.bucket.Name(s.key(state, name)) }

// writeManifest writes a manifest and returns its name.
func (s *Store) writeManifest(ctx context.Context, m *Manifest, epoch uint64) (string, error) {
	data, err := wire.Encode(m)
	if err != nil {
		return "", err
	}
	sum := crc32.Checksum(data, castagnoli)
	name := fmt.Sprintf("%012d-%d-%08x%s", m.Seq, epoch, sum, manifestEnd)
	_, err = s.write(ctx, m.State, name, data)
	return name, err
}

// manifestEnd ends the names of manifests; the checksum of the contents is before it.
const manifestEnd = ".manifest"

// ReadManifest returns the manifest of a checkpoint.
func (s *Store) ReadManifest(ctx context.Context, state string, c plan.Checkpoint) (*Manifest, error) {
	data, err := s.bucket.Read(ctx, s.key(state, c.Manifest), maxManifest)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if sum := fmt.Sprintf("-%08x%s", crc32.Checksum(data, castagnoli), manifestEnd); !strings.HasSuffix(c.Manifest, sum) {
		err = fmt.Errorf("its %d bytes aren't what was written: their checksum isn't that in its name", len(data))
	} else if err = wire.Decode(data, m); err == nil && (m.State != state || m.Seq != c.Seq) {
		err = errors.New("its contents don't belong to its name")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, s.Where(state, c.Manifest), err)
	}
	return m, nil
}

// sweep removes the files of a state that no manifest of those in use lists, and that are
// of batches up to until, later ones may be under way, and of drivers up to that of an
// epoch: one that was deposed and doesn't know it yet leaves alone what its successor wrote.
func (s *Store) sweep(ctx context.Context, state string, until, epoch uint64, inUse map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	names, err := s.bucket.Names(ctx, path.Join(s.dir, state))
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		var seq, writer uint64
		_, err := fmt.Sscanf(name, "%d-%d-", &seq, &writer)
		return err != nil || seq > until || writer > epoch || inUse[name]
	})
	for _, name := range names {
		if err := s.bucket.Remove(ctx, s.key(state, name)); err != nil {
			return err
		}
	}
	return nil
}
