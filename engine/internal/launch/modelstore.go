package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
)

// openModelStore opens the store of the job's models, if it has any: what the
// setting says, else a directory below the checkpoint, else a temporary one,
// which goes with the job. A cluster has no default, since only its users know of a
// place that every node reaches; its jobs can do without unless they publish.
func (j *Job) openModelStore(ctx context.Context, g *plan.Graph, h, logged *plan.JobHeader) (store *modelstore.Store, release func() error, err error) {
	nothing := func() error { return nil }
	if len(g.Models) == 0 {
		return nil, nothing, nil
	}
	place := j.Settings.ModelStore
	if logged != nil {
		if place, err = j.kept(place, "models.store", logged.ModelStore, modelstore.Address); err != nil {
			return nil, nothing, err
		}
	}
	switch {
	case place != "":
	case j.Incarnation != 0:
		return nil, nothing, nil
	case j.Checkpoint != "":
		place = filepath.Join(j.Checkpoint, "models")
	default:
		if place, err = os.MkdirTemp("", "hibana-models-"); err != nil {
			return nil, nothing, fmt.Errorf("making a directory for versions of models: %w", err)
		}
		j.temporary = append(j.temporary, place)
	}
	if h.ModelStore, err = modelstore.Address(place); err == nil {
		store, err = modelstore.Open(ctx, h.ModelStore, h.Stored())
	}
	if err != nil {
		return nil, nothing, err
	}
	return store, store.Close, nil
}

// openCatalog opens the catalog of versions that other programs publish, if the program
// follows any: nil else.
func (j *Job) openCatalog(ctx context.Context, g *plan.Graph, logged *plan.JobHeader) (*modelstore.Catalog, error) {
	i := slices.IndexFunc(g.Models, func(m *plan.Model) bool { return m.Follow > 0 })
	if i < 0 {
		return nil, nil
	}
	place := j.Settings.ModelStore
	if place == "" && logged != nil && j.Incarnation != 0 { // as openModelStore found it
		place = logged.ModelStore
	}
	if place == "" {
		return nil, fmt.Errorf("model %s follows what other programs publish: %w", g.Models[i].Name, plan.ErrNoModelStore)
	}
	address, err := modelstore.Address(place)
	if err != nil {
		return nil, err
	}
	return modelstore.OpenCatalog(ctx, address)
}
