package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// following notes what became of the versions that the catalog had for a model. Open uses
// it, and the model's goroutine follow afterwards.
type following struct {
	refused string // the version that was refused last
	failed  string // what was wrong with the catalog at the last look, "" for nothing
}

// follow brings in the versions of a model that are published in the catalog, until ctx
// ends.
func (r *Registry) follow(ctx context.Context, s *model) {
	tick := time.NewTicker(s.node.Follow)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r.look(ctx, s)
	}
}

// look brings in the newest version of the catalog, unless the model has had it: one
// that was rolled back from isn't brought in again. What is wrong is said once.
func (r *Registry) look(ctx context.Context, s *model) {
	f, name := &s.following, s.node.Name
	digest, err := r.catalog.Newest(ctx, name)
	if err == nil && (digest == "" || digest == f.refused || r.had(s, digest)) {
		f.failed = ""
		return
	}
	var file []byte
	if err == nil {
		file, err = r.catalog.Get(ctx, name, digest)
	}
	if err != nil {
		if ctx.Err() == nil && err.Error() != f.failed {
			f.failed = err.Error()
			r.log.Warn("versions that are published for the model aren't seen for now", "model", name, "err", err)
		}
		return
	}
	f.failed = ""
	if _, err := r.Publish(ctx, name, file); err != nil && ctx.Err() == nil && !errors.Is(err, plan.ErrStopped) {
		f.refused = digest
		r.log.Error("a version that was published for the model can't be used; the one before stays", "model", name, "version", digest, "err", err)
	}
}

// had reports whether a version is current, or was.
func (r *Registry) had(s *model, digest string) bool {
	h := r.historyOf(s)
	return slices.Contains(slices.Concat(h.Earlier, h.Left, []string{h.Current}), digest)
}
