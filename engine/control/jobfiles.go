package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/logs"
)

// jobFiles are what jobs have on a node's disk:
//
//	binaries/DIGEST        programs
//	jobs/INCARNATION/log   output of the job's driver processes on this node
//	jobs/INCARNATION/work  their working directory
//	versions/DIGEST        versions of models while they are being published
type jobFiles struct {
	path     string // of jobs
	programs *binaries.Store
	versions *incoming
	output   *logs.Server
	room     *raftgroup.Reserve
}

func openJobFiles(d *raftgroup.DataDir) (*jobFiles, error) {
	programs, err := binaries.Open(filepath.Join(d.Path, "binaries"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", raftgroup.ErrDataDir, err)
	}
	path, err := d.Sub("jobs")
	if err != nil {
		return nil, err
	}
	versions, err := openIncoming(filepath.Join(d.Path, "versions"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", raftgroup.ErrDataDir, err)
	}
	f := &jobFiles{path: path, programs: programs, versions: versions, room: raftgroup.NewReserve(path)}
	f.output = logs.NewServer(func(incarnation uint64) string { return filepath.Join(f.dir(incarnation), "log") })
	return f, nil
}

// dir returns where a job's files are.
func (f *jobFiles) dir(incarnation uint64) string {
	return filepath.Join(f.path, strconv.FormatUint(incarnation, 10))
}

// workDir makes a job's working directory.
func (f *jobFiles) workDir(incarnation uint64) (string, error) {
	path := filepath.Join(f.dir(incarnation), "work")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making the job's working directory: %w", err)
	}
	return path, nil
}

// prune removes the working directories of jobs that have ended, and all files
// of those that are over. Both are called for each job that has files here.
func (f *jobFiles) prune(ended, over func(incarnation uint64) bool) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("pruning jobs' files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		inc, err := strconv.ParseUint(e.Name(), 10, 64)
		switch {
		case err != nil: // not ours
		case over(inc):
			errs = append(errs, os.RemoveAll(f.dir(inc)))
		case ended(inc):
			errs = append(errs, os.RemoveAll(filepath.Join(f.dir(inc), "work")))
		}
	}
	return errors.Join(errs...)
}
