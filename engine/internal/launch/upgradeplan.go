package launch

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// PrintPlan prints what would become of the checkpoint if the job ran, and runs nothing:
// what it returns is why it can't go on. It closes the job's log.
func (j *Job) PrintPlan(ctx, _ context.Context, m Master) (err error) {
	defer func() { err = errors.Join(err, m.close(), j.Batches.Close()) }()
	p := &prepared{job: j, master: m}
	if err := p.recover(ctx); err != nil {
		return err
	}
	nowhere := func(context.Context, plan.NamedValue) error { return nil }
	if err := p.build(ctx, nowhere); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	switch r := p.recovered; {
	case r.Header == nil:
		fmt.Fprintln(j.Stdout, "the checkpoint is empty: the job starts from the beginning")
		return nil
	case p.upgrade == nil:
		fmt.Fprintln(j.Stdout, "the program's graph is that of the checkpoint: all is kept")
		return nil
	}
	p.upgrade.Print(j.Stdout)
	return p.upgrade.Check(j.AllowNonRestored)
}
