package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd/files"
)

// openStateStore opens the store of the checkpoints of the job's states, if it has any:
// what the setting or the log says, else a directory below the job's checkpoint, else a
// temporary one, which goes with the job. A cluster has no default, since only its users know of a
// place that every node reaches.
func (j *Job) openStateStore(ctx context.Context, g *plan.Graph, h, logged *plan.JobHeader) (store *state.Store, release func() error, err error) {
	nothing := func() error { return nil }
	if len(g.States) == 0 {
		return nil, nothing, nil
	}
	place := j.Settings.CheckpointStore
	if logged != nil {
		if place, err = j.kept(place, "checkpoint.store", logged.StateStore, storeURL); err != nil {
			return nil, nothing, err
		}
	}
	switch {
	case place != "":
	case j.Incarnation != 0:
		return nil, nothing, state.ErrNoStore
	case j.Checkpoint != "":
		place = filepath.Join(j.Checkpoint, "state")
	default:
		if place, err = os.MkdirTemp(j.Settings.LocalDir, "hibana-state-"); err != nil {
			return nil, nothing, fmt.Errorf("making a directory for checkpoints of states: %w", err)
		}
		j.temporary = append(j.temporary, place)
	}
	if h.StateStore, err = storeURL(place); err == nil {
		store, err = state.Open(ctx, h.StateStore, h.Stored())
	}
	if err != nil {
		return nil, nothing, err
	}
	return store, store.Close, nil
}

// storeURL returns the address of a store of checkpoints as a header has it.
func storeURL(place string) (string, error) {
	a, err := files.Parse(place)
	if err != nil {
		return "", fmt.Errorf("the store of checkpoints: %w", err)
	}
	return a.URL(), nil
}

// keeper returns who decides when the job's states are saved.
func (p *prepared) keeper(store *state.Store) *state.Keeper {
	g := &p.program.Graph
	return state.NewKeeper(state.Config{
		States: g.States, Numbers: p.header.Numbers, Slides: g.SlideOf, Store: store, Interval: p.job.Settings.CheckpointInterval, Batches: checkpointBatches,
		Troubles: p.job.troubles, Log: p.job.Log,
	})
}

// checkpointBatches is after how many batches a state is saved, however short they are:
// the lineage of a state begins at its newest checkpoint.
const checkpointBatches = 100
