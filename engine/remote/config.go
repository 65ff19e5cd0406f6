package remote

import (
	"log/slog"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Config is what a Backend needs to know of its job.
type Config struct {
	Incarnation, Epoch uint64
	Header             []byte            // for executors, opaque here
	Values             []wire.Value      // recorded values that the program's build needs
	Security           security.Security // with the job's secret
	MaxResultBytes     int64             // of one task
	Dir                string            // where goes what executors that come later must know and memory doesn't hold; "" for the system's temporary directory
	Logger             *slog.Logger
	Troubles           Troubles // may be nil

	// Check compares what an executor built with what the driver did. Its error
	// fails the job.
	Check func(executor string, r *Registered) error
	// Diverged is told of an executor that couldn't generate a batch alike.
	Diverged func(executor string, r *Invoked)
	// Failed is told why the job can't go on. It is called at most once for each
	// executor and doesn't block, like the other two.
	Failed func(err error)
}
