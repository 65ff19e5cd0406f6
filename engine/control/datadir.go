package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hibana-engine/hibana/engine/wire"
)

// identityFormat is the version of the identity file.
const identityFormat = 1

// identity says whose data directory it is. It is kept as JSON, for people.
type identity struct {
	Format  int    `json:"format"`
	Node    string `json:"node"`    // id in --peers
	Cluster string `json:"cluster"` // "" until the node has learned it
	// Copy tells this directory from another one that claims to be the same
	// node's.
	Copy string `json:"copy"`
}

// dataDir is a node's directory on disk, locked by this process.
type dataDir struct {
	path string
	lock *os.File
	id   identity
}

// openDataDir locks a directory for a node, and makes it if there is none.
func openDataDir(path, node string) (_ *dataDir, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &dataDir{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%w: another engine-driver uses %s; each needs a --data directory of its own", ErrDataDir, path)
	}
	b, err := os.ReadFile(d.identityFile())
	if errors.Is(err, fs.ErrNotExist) {
		d.id = identity{Format: identityFormat, Node: node, Copy: wire.NewToken()[:32]}
		return d, d.save()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := json.Unmarshal(b, &d.id); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDataDir, d.identityFile(), err)
	}
	if d.id.Format != identityFormat {
		return nil, fmt.Errorf("%w: %s is of format %d, this version knows %d", ErrDataDir, d.identityFile(), d.id.Format, identityFormat)
	}
	if d.id.Node != node {
		return nil, fmt.Errorf("%w: %s belongs to driver %q, this is %q; give another --data directory or --id %s", ErrDataDir, path, d.id.Node, node, d.id.Node)
	}
	return d, nil
}

func (d *dataDir) identityFile() string { return filepath.Join(d.path, "identity.json") }

// save writes the identity file, whole or not at all.
func (d *dataDir) save() error {
	b, err := json.MarshalIndent(d.id, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(d.identityFile(), append(b, '\n')); err != nil {
		return fmt.Errorf("%w: writing the identity: %w", ErrDataDir, err)
	}
	return nil
}

// joinCluster remembers the cluster that the node belongs to. A directory of
// another cluster is an error that says [wire.ErrOtherCluster].
func (d *dataDir) joinCluster(id string) error {
	switch d.id.Cluster {
	case id:
		return nil
	case "":
		d.id.Cluster = id
		return d.save()
	}
	return fmt.Errorf("%w: %s is of cluster %s, the drivers in --peers are of %s; give another --data directory", wire.ErrOtherCluster, d.path, d.id.Cluster, id)
}

// sub returns the path of a directory within, and makes it. It is for this user
// only, whatever an earlier version or the mode of the data directory allows.
func (d *dataDir) sub(name string) (string, error) {
	path := filepath.Join(d.path, name)
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		err = os.Chmod(path, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return path, nil
}

// close unlocks the directory.
func (d *dataDir) close() error { return d.lock.Close() }

// writeFile replaces a file by one with the given content, durably.
func writeFile(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
