package launch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/hibana-engine/hibana/engine/internal/state"
)

// Saved names a state of which there are checkpoints.
type Saved struct {
	Store      string // URL or directory of checkpoints, "" for that below Checkpoint
	Checkpoint string // directory
	Job        uint64 // incarnation, 0 for the newest
	State, Key string // no key stands for all
}

// Print writes the newest checkpoint of the state as lines of JSON. The job may run
// meanwhile.
func (s Saved) Print(ctx context.Context, w io.Writer, log *slog.Logger) (err error) {
	place := s.Store
	if place == "" {
		place = filepath.Join(s.Checkpoint, "state")
	}
	if s.Job == 0 {
		if s.Job, err = state.NewestJob(place); err != nil {
			return err
		}
	}
	store, err := state.Open(ctx, place, s.Job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	m, damaged, err := store.Newest(ctx, s.State)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		log.Error("a checkpoint of the state is passed over for the one before", "err", d)
	}
	log.Info("the state after a batch", "state", s.State, "batch", m.Seq, "holds", m.Types)
	return store.Print(ctx, w, m, s.Key)
}
