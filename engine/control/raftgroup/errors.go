package raftgroup

import (
	"errors"
	"fmt"
)

// Errors of this package, for errors.Is. What travels to clients is in wire.
var (
	// ErrDataDir: the data directory can't be used.
	ErrDataDir = errors.New("the data directory can't be used")
	// ErrPeers: the list of drivers makes no sense, or isn't the cluster's.
	ErrPeers = errors.New("wrong --peers")
	// ErrDisk: the disk fails, is full or doesn't answer. The node ends: another
	// one leads then.
	ErrDisk = errors.New("the disk of the data directory fails")
	// ErrOtherCopy: another data directory is the driver's. Waiting doesn't help.
	ErrOtherCopy = fmt.Errorf("%w: it isn't the one that the cluster knows", ErrDataDir)
	// ErrTwice: another process is the driver. Waiting doesn't help.
	ErrTwice = fmt.Errorf("%w: another engine-driver runs under this id", ErrPeers)
)
