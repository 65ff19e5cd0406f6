package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// ErrNoCheckpoint: there is no checkpoint of a state.
var ErrNoCheckpoint = errors.New("there is no checkpoint of the state")

// ErrNoState: the job has no state of the name.
var ErrNoState = errors.New("there is no state")

// NewestJob returns the job with the newest incarnation of those whose checkpoints are in
// a directory of this machine.
func NewestJob(address string) (incarnation uint64, err error) {
	a, err := files.Parse(address)
	if err != nil {
		return 0, fmt.Errorf("the store of checkpoints: %w", err)
	}
	if !strings.HasPrefix(a.URL(), "file:") {
		return 0, fmt.Errorf("%s holds checkpoints of several jobs: say of which with --state-job", address)
	}
	dir := filepath.FromSlash("/" + a.Key)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no directory %s", ErrNoCheckpoint, dir)
	}
	if err != nil {
		return 0, fmt.Errorf("looking for checkpoints of states: %w", err)
	}
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && e.IsDir() {
			incarnation = max(incarnation, n)
		}
	}
	if incarnation == 0 {
		return 0, fmt.Errorf("%w: none in %s", ErrNoCheckpoint, dir)
	}
	return incarnation, nil
}

// found is a manifest that was found by its name.
type found struct {
	name       string
	seq, epoch uint64
}

// manifests finds the manifests of a state, the newest first.
func (s *Store) manifests(ctx context.Context, state string) (all []found, err error) {
	names, err := s.bucket.Names(ctx, s.key(state, ""))
	for _, name := range names {
		f := found{name: name}
		if _, err := fmt.Sscanf(name, "%d-%d-", &f.seq, &f.epoch); err == nil && strings.HasSuffix(name, manifestEnd) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.seq, a.seq), cmp.Compare(b.epoch, a.epoch), cmp.Compare(a.name, b.name))
	})
	return all, err
}

// Of returns a checkpoint of exactly the batch of an allocation, and its manifest, nil if
// there is none. Its error says why the only ones can't be read.
func (s *Store) Of(ctx context.Context, state string, a *plan.Allocation) (c plan.Checkpoint, m *Manifest, err error) {
	all, err := s.manifests(ctx, state)
	if errors.Is(err, files.ErrMissing) {
		return c, nil, nil
	}
	if err != nil {
		return c, nil, err
	}
	var damaged error
	for _, f := range all {
		if f.seq != a.Seq {
			continue
		}
		c = plan.Checkpoint{Seq: a.Seq, TimeNanos: a.TimeNanos, Manifest: f.name}
		m, err := s.ReadManifest(ctx, state, c)
		if err == nil && (m.TimeNanos != a.TimeNanos || m.Planner != a.Epoch) {
			continue
		}
		if err == nil {
			err = s.look(ctx, m, c)
		}
		if !IsDamage(err) {
			return c, m, err
		}
		damaged = errors.Join(damaged, err)
	}
	return c, nil, damaged
}

// Newest returns the manifest of the newest checkpoint of a state that isn't damaged, and
// what is wrong with those that are newer. It reads the checkpoint whole.
func (s *Store) Newest(ctx context.Context, state string) (m *Manifest, damaged []error, err error) {
	all, err := s.manifests(ctx, state)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range all {
		c := plan.Checkpoint{Seq: f.seq, Manifest: f.name}
		m, err := s.ReadManifest(ctx, state, c)
		if err == nil {
			err = s.check(ctx, m, c)
		}
		if err == nil {
			return m, damaged, nil
		}
		if !IsDamage(err) {
			return nil, damaged, err
		}
		damaged = append(damaged, err)
	}
	return nil, damaged, errors.Join(fmt.Errorf("%w %q in %s%s", ErrNoCheckpoint, state, s.Where(state, ""), s.others(ctx, state)), errors.Join(damaged...))
}

// others says which other states of the job have directories in the store, "" if it has none or
// can't be listed.
func (s *Store) others(ctx context.Context, state string) string {
	names, err := s.bucket.Dirs(ctx, s.dir)
	names = slices.DeleteFunc(names, func(name string) bool { return name == state })
	if err != nil || len(names) == 0 {
		return ""
	}
	return "; there are those of " + strings.Join(names, ", ")
}

// check reads the files of a checkpoint and returns what is wrong with them.
func (s *Store) check(ctx context.Context, m *Manifest, c plan.Checkpoint) error {
	if err := s.look(ctx, m, c); err != nil {
		return err
	}
	for _, p := range m.Partitions {
		for _, f := range p.Files {
			err := s.readFile(ctx, m.State, f, func(keyed.Header, *keyed.Change) error { return nil })
			if IsDamage(err) {
				err = s.Unreadable(m.State, c, f.Name, err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
