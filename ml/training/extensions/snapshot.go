package extensions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

// Snapshotter saves a training, or the network alone, as npz files.
type Snapshotter struct {
	// Prefix is the beginning of the files' names; the iteration follows.
	Prefix string
	// Keep is how many of the newest files stay; 0 keeps all.
	Keep int
	// OnStop also saves when the training is stopped by its context.
	OnStop bool
	// Resume loads the newest file of the output directory, if there is one,
	// before the training starts.
	Resume bool

	name  string
	model links.Link // nil saves the trainer
}

// Snapshot saves the whole state of the training every epoch, in files
// "snapshot_iter_N". To go on from one, set Resume, or load it with
// serializers.LoadNPZ(file, trainer) before Run.
func Snapshot() *Snapshotter { return &Snapshotter{Prefix: "snapshot_iter_", name: "snapshot"} }

// SnapshotModel saves a network's parameters every epoch, in files
// "model_iter_N.npz" when prefix is "model_iter_".
func SnapshotModel(model links.Link, prefix string) *Snapshotter {
	return &Snapshotter{Prefix: prefix, name: "snapshot_object", model: model}
}

// Name is "snapshot", or "snapshot_object" for a model.
func (s *Snapshotter) Name() string { return s.name }

// Trigger is every epoch.
func (s *Snapshotter) Trigger() training.Trigger { return training.Epochs(1) }

// Priority runs it after all others, so that their state is saved as well.
func (s *Snapshotter) Priority() int { return -100 }

// Restore resumes, if asked to.
func (s *Snapshotter) Restore(t *training.Trainer) error {
	if !s.Resume || s.model != nil {
		return nil
	}
	dir, err := t.Out()
	if err != nil {
		return err
	}
	files, err := s.files(dir)
	if err != nil || len(files) == 0 {
		return err
	}
	return serializers.LoadNPZ(filepath.Join(dir, s.fileName(files[len(files)-1])), t)
}

// Run saves.
func (s *Snapshotter) Run(_ context.Context, t *training.Trainer) error {
	dir, err := t.Out()
	if err != nil {
		return err
	}
	var object serializers.Stateful = t
	if s.model != nil {
		object = s.model
	}
	iteration := t.Updater().Iteration()
	if err := serializers.SaveNPZ(filepath.Join(dir, s.fileName(iteration)), object); err != nil {
		return err
	}
	return s.prune(dir)
}

// Finish saves once more when the training was stopped.
func (s *Snapshotter) Finish(t *training.Trainer, err error) error {
	if !s.OnStop || !errors.Is(err, training.ErrStopped) {
		return nil
	}
	return s.Run(context.Background(), t)
}

func (s *Snapshotter) fileName(iteration int) string {
	name := s.Prefix + strconv.Itoa(iteration)
	if s.model != nil {
		name += ".npz"
	}
	return name
}

// files lists the iterations of which dir has a file, ascending.
func (s *Snapshotter) files(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	var iterations []int
	for _, e := range entries {
		text, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".npz"), s.Prefix)
		n, err := strconv.Atoi(text)
		if ok && err == nil && e.Name() == s.fileName(n) {
			iterations = append(iterations, n)
		}
	}
	slices.Sort(iterations)
	return iterations, nil
}

// prune removes all but the newest files.
func (s *Snapshotter) prune(dir string) error {
	if s.Keep <= 0 {
		return nil
	}
	files, err := s.files(dir)
	if err != nil {
		return err
	}
	for _, n := range files[:max(len(files)-s.Keep, 0)] {
		if err := os.Remove(filepath.Join(dir, s.fileName(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old snapshot: %w", err)
		}
	}
	return nil
}
