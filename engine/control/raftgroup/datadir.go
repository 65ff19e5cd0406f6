package raftgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"syscall"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/security"
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
	// Replaces says that the directory takes the place of one that is lost, and
	// that the group hasn't admitted it yet: the node founds nothing.
	Replaces bool `json:"replaces,omitempty"`
	// Drivers are the newest admissions that the node knows of, by node.
	Drivers map[string]state.Admission `json:"drivers,omitempty"`
}

// ReadIdentity reads an identity file.
func ReadIdentity(path string) (identity, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return identity{}, err
	}
	return parseIdentity(b)
}

// parseIdentity decodes an identity file.
func parseIdentity(b []byte) (id identity, err error) {
	if err := json.Unmarshal(b, &id); err != nil {
		return id, err
	}
	if id.Format != identityFormat {
		return id, fmt.Errorf("%w: it is of format %d, this version knows %d",
			wire.ErrFormat, id.Format, identityFormat)
	}
	if !state.ValidID(id.Node) || !state.ValidMark(id.Copy) || id.Cluster != "" && !state.ValidMark(id.Cluster) {
		return id, fmt.Errorf("%w: node %q, cluster %q, copy %q", wire.ErrMalformed, id.Node, id.Cluster, id.Copy)
	}
	for node, a := range id.Drivers {
		if !state.ValidID(node) || !state.ValidMark(a.Copy) || a.Index == 0 {
			return id, fmt.Errorf("%w: driver %q with copy %q at %d", wire.ErrMalformed, node, a.Copy, a.Index)
		}
	}
	return id, nil
}

// DataDir is a node's directory on disk, locked by this process.
type DataDir struct {
	Path string
	lock *os.File
	id   identity
	kept bool // the identity is on disk
}

// OpenDataDir locks a directory for a node, and makes it if there is none. One that
// has never been part of a cluster replaces a lost one, if that is asked for. What that
// changes of its identity is on disk after Keep: a start that goes no further, because
// something else is wrong, claims nothing.
func OpenDataDir(path, node string, replaces bool) (*DataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := security.CheckDirectory(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &DataDir{Path: path, lock: lock}
	if err := d.claim(node, replaces); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// claim locks the directory and makes sure that it is the node's.
func (d *DataDir) claim(node string, replaces bool) error {
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: another engine-driver uses %s; each needs a --data directory of its own",
			ErrDataDir, d.Path)
	}
	id, err := ReadIdentity(d.identityFile())
	if errors.Is(err, fs.ErrNotExist) {
		d.id = identity{Format: identityFormat, Node: node, Copy: security.NewToken()[:state.MarkLen], Replaces: replaces}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDataDir, d.identityFile(), err)
	}
	if id.Node != node {
		return fmt.Errorf("%w: %s belongs to driver %q, this is %q; give another --data directory or --id %s",
			ErrDataDir, d.Path, id.Node, node, id.Node)
	}
	if replaces && id.Cluster == "" && !id.Replaces { // it was refused without --replace
		id.Replaces = true
		d.id = id
		return nil
	}
	d.id, d.kept = id, true
	return nil
}

// Keep writes the identity down, if it isn't yet. The node says it to others afterwards.
func (d *DataDir) Keep() error {
	if d.kept {
		return nil
	}
	return d.save(d.id)
}

func (d *DataDir) identityFile() string { return filepath.Join(d.Path, "identity.json") }

// save replaces the identity, on disk first: whole or not at all.
func (d *DataDir) save(id identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.WriteFile(d.identityFile(), append(b, '\n')); err != nil {
		return fmt.Errorf("%w: writing the identity: %w", ErrDataDir, err)
	}
	d.id, d.kept = id, true
	return nil
}

// learn remembers the cluster that the node belongs to, and which data directories
// its drivers have. It is an error if this one isn't the node's: one that says
// [wire.ErrOtherCluster] if it is of another cluster.
func (d *DataDir) learn(cluster string, drivers map[string]state.Admission) error {
	id := d.id
	switch {
	case cluster == "":
		return nil
	case id.Cluster != "" && id.Cluster != cluster:
		return fmt.Errorf("%w: %s is of cluster %s, the drivers in --peers are of %s; give another --data directory",
			wire.ErrOtherCluster, d.Path, id.Cluster, cluster)
	}
	id.Cluster = cluster
	id.Drivers = maps.Clone(id.Drivers)
	for node, a := range drivers {
		if a.Index <= id.Drivers[node].Index {
			continue // what the state says while it catches up
		}
		if node == id.Node && a.Copy != id.Copy {
			if id.Replaces {
				continue // the lost one
			}
			return fmt.Errorf("%w: %s isn't it any more", ErrOtherCopy, d.Path)
		}
		if id.Drivers == nil {
			id.Drivers = make(map[string]state.Admission)
		}
		id.Drivers[node] = a
		id.Replaces = id.Replaces && node != id.Node
	}
	if reflect.DeepEqual(id, d.id) {
		return nil
	}
	return d.save(id)
}

// Replaces reports whether the directory takes the place of one that is lost, and isn't
// admitted yet.
func (d *DataDir) Replaces() bool { return d.id.Replaces }

// Sub returns the path of a directory within, and makes it. It is for this user
// only, whatever an earlier version or the mode of the data directory allows.
func (d *DataDir) Sub(name string) (string, error) {
	path := filepath.Join(d.Path, name)
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		err = os.Chmod(path, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return path, nil
}

// Close unlocks the directory.
func (d *DataDir) Close() error { return d.lock.Close() }
