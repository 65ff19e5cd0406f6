package launch

import (
	"context"
	"fmt"
)

// PrintPlan prints what would become of the checkpoint if the job ran, and runs nothing:
// what it returns is why it can't go on. It closes the job's log.
func (j *Job) PrintPlan(ctx, _ context.Context, m Master) error {
	return j.look(ctx, m, func(p *prepared) error {
		u := p.upgrade
		switch {
		case p.recovered.Header == nil:
			fmt.Fprintln(j.Stdout, "the checkpoint is empty: the job starts from the beginning")
			return nil
		case u == nil:
			u = p.program.Graph.GoOn(p.header.Numbers, &p.recovered)
			what := "all is kept"
			if len(u.Lost) > 0 {
				what = "all is kept but what is lost below"
			}
			fmt.Fprintln(j.Stdout, "the program's graph is that of the checkpoint: "+what)
		}
		u.Print(j.Stdout)
		return u.Check(j.AllowNonRestored)
	})
}
