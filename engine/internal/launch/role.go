package launch

import (
	"context"
	"fmt"
	"os"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/offspring"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// tellSecrets puts a job's secrets where its program looks for them: into the
// environment that Go sees. The one that the machine shows, of processes, is that of
// their start, and hasn't got them.
func tellSecrets(all []wire.Secret) error {
	for _, s := range all {
		if err := os.Setenv(s.Name, s.Value); err != nil {
			return fmt.Errorf("telling the program the secret %s: %w", s.Name, err)
		}
	}
	return nil
}

// RunRole runs the program in the role that the daemon which started it gave it.
// The daemon's pipe is the process's life: when it closes, RunRole returns at
// once, whatever the program is doing, and the process ends.
func RunRole(ctx context.Context, assigned string, j *Job) error {
	switch assigned {
	case role.Driver, role.Executor:
	default:
		return fmt.Errorf("%w: %s=%q; it is set by the engine's daemons only", plan.ErrUsage, role.Env, assigned)
	}
	parent, err := role.OpenParent()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { // left behind if the daemon is gone first: the process ends then
		if assigned == role.Driver {
			done <- runDriver(ctx, j, parent)
		} else {
			done <- runExecutor(ctx, j, parent)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-parent.Gone():
		if err := offspring.Kill(nil); err != nil { // the daemon may be dead
			j.Log.Warn("ending what this process has started", "err", err)
		}
		j.Log.Debug("the daemon closed the connection; this process ends")
		return nil
	}
}
