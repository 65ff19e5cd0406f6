package engine

import (
	"log/slog"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// NewMemoryLog returns a log that lives as long as the process: a job without a
// checkpoint directory has one.
func NewMemoryLog() plan.Log { return launch.LogOver(new(batchlog.Memory)) }

// OpenDirLog opens the batch log in a directory, which is made if need be. One
// process at a time may have it open; another gets [ErrLocked].
func OpenDirLog(dir string, log *slog.Logger) (plan.Log, error) {
	l, err := dirlog.Open(dir, log)
	if err != nil {
		return nil, err
	}
	return launch.LogOver(l), nil
}
