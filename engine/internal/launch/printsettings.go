package launch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
)

// PrintSettings prints the engine's settings and those that the program's connectors declare: a
// stream's build function runs for that, without its values, or a batch program until its first
// action or value. Nothing else of the program runs.
func (j *Job) PrintSettings(ctx context.Context, w io.Writer) {
	j.looking = true
	p := j.newProgram(plan.JobHeader{App: j.App, Parallelism: 1}, &plan.ValueLog{})
	err := j.Build(ctx, p)
	if j.Batch {
		replay.RunToFirstStep(p)
	}
	plan.PrintSettings(w)
	p.PrintSettings(w)
	switch {
	case j.Batch:
		fmt.Fprintln(w, "Sources that the program makes after its first action or value may have more.")
	case err != nil && !errors.Is(err, plan.ErrNotRecorded): // values aren't there
		fmt.Fprintf(w, "There may be more: %v\n", err)
	}
}
