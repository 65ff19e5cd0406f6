package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// ErrDataDir: the data directory can't be used.
var ErrDataDir = errors.New("the data directory can't be used")

// identity says whose data directory it is. It is kept as JSON, for people.
type identity struct {
	Format   int    `json:"format"`
	Executor string `json:"executor"`
	Cluster  string `json:"cluster"` // "" until the daemon has followed a leader
}

// identityFormat is the version of the identity file.
const identityFormat = 1

// dataDir is a daemon's directory on disk, locked by this process:
//
//	identity.json          whose it is, once it has joined a cluster
//	binaries/DIGEST        programs
//	jobs/INCARNATION/log   output of the job's processes
//	jobs/INCARNATION/work  their working directory
//
// One goroutine uses joinCluster and cluster; paths are for all.
type dataDir struct {
	path string
	lock *os.File
	id   identity
}

// openDataDir locks a directory for an executor, and makes it if there is none.
func openDataDir(path, id string) (_ *dataDir, err error) {
	if path == "" || id == "" {
		return nil, fmt.Errorf("%w: an executor needs an id and a data directory", wire.ErrInvalid)
	}
	path, err = filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(filepath.Join(path, "jobs"), 0o700)
	}
	if err == nil {
		err = security.CheckDirectory(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.claim(id); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// claim locks the directory and makes sure that it is this executor's, or
// nobody's: it becomes this one's when it joins a cluster, so that a start which
// goes no further claims nothing.
func (d *dataDir) claim(id string) error {
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: another engine-executor uses %s; each needs a --data directory of its own", ErrDataDir, d.path)
	}
	b, err := os.ReadFile(d.identityFile())
	if errors.Is(err, fs.ErrNotExist) {
		d.id = identity{Format: identityFormat, Executor: id}
		return nil
	}
	if err == nil {
		d.id, err = parseIdentity(b)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrDataDir, d.identityFile(), err)
	case d.id.Executor != id:
		return fmt.Errorf("%w: %s belongs to executor %q, this is %q; give another --data directory or --id %s", ErrDataDir, d.path, d.id.Executor, id, d.id.Executor)
	}
	return nil
}

// parseIdentity decodes an identity file.
func parseIdentity(b []byte) (id identity, err error) {
	if err := json.Unmarshal(b, &id); err != nil {
		return id, err
	}
	if id.Format != identityFormat {
		return id, fmt.Errorf("%w: it is of format %d, this version knows %d", wire.ErrFormat, id.Format, identityFormat)
	}
	if id.Executor == "" {
		return id, fmt.Errorf("%w: it names no executor", wire.ErrMalformed)
	}
	return id, nil
}

func (d *dataDir) identityFile() string { return filepath.Join(d.path, "identity.json") }

// save replaces the identity file, whole or not at all.
func (d *dataDir) save() error {
	b, err := json.MarshalIndent(d.id, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.WriteFile(d.identityFile(), append(b, '\n')); err != nil {
		return fmt.Errorf("%w: writing the identity: %w", ErrDataDir, err)
	}
	return nil
}

// cluster returns the cluster that the daemon has followed, "" at first.
func (d *dataDir) cluster() string { return d.id.Cluster }

// joinCluster remembers the cluster that the daemon follows.
func (d *dataDir) joinCluster(id string) error {
	switch d.id.Cluster {
	case id:
		return nil
	case "":
		d.id.Cluster = id
		return d.save()
	}
	return fmt.Errorf("%w: %s is of cluster %s, the leader's is %s; give another --data directory", wire.ErrOtherCluster, d.path, d.id.Cluster, id)
}

func (d *dataDir) binaries() string { return filepath.Join(d.path, "binaries") }

func (d *dataDir) job(inc uint64) string {
	return filepath.Join(d.path, "jobs", strconv.FormatUint(inc, 10))
}

func (d *dataDir) jobLog(inc uint64) string { return filepath.Join(d.job(inc), "log") }

// workDir makes a job's working directory.
func (d *dataDir) workDir(inc uint64) (string, error) {
	path := filepath.Join(d.job(inc), "work")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making the job's working directory: %w", err)
	}
	return path, nil
}

// removeWork removes a job's working directory.
func (d *dataDir) removeWork(inc uint64) error {
	return os.RemoveAll(filepath.Join(d.job(inc), "work"))
}

// prune removes the files of jobs that don't run, except those of the newest ones,
// so many, that were touched within age.
func (d *dataDir) prune(live map[uint64]bool, age time.Duration, newest int) error {
	entries, err := os.ReadDir(filepath.Join(d.path, "jobs"))
	if err != nil {
		return fmt.Errorf("pruning jobs' files: %w", err)
	}
	ended := make(map[uint64]fs.DirEntry)
	for _, e := range entries {
		if inc, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && !live[inc] {
			ended[inc] = e
		}
	}
	var errs []error
	incarnations := slices.Sorted(maps.Keys(ended))
	for i, inc := range incarnations {
		info, err := ended[inc].Info()
		if err == nil && (i < len(incarnations)-newest || time.Since(info.ModTime()) > age) {
			errs = append(errs, os.RemoveAll(d.job(inc)))
		}
	}
	return errors.Join(errs...)
}

// close unlocks the directory.
func (d *dataDir) close() error { return d.lock.Close() }
