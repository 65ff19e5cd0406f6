package paper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Bench measures.
type Bench interface {
	// Measure makes one run. Runs of one topic (see Grid.Cells), and those of one number
	// of brokers, come one after the other; what one leaves behind for the next may be missing, since a grid goes on
	// where it stopped.
	Measure(ctx context.Context, r Run) (Measured, error)
}

// RunTimeout bounds a run: no run takes a tenth of it.
const RunTimeout = 10 * time.Minute

// ErrInterrupted: the grid was stopped before its end.
var ErrInterrupted = errors.New("interrupted")

// Measure makes the runs of a grid that the results don't hold, and tells how it goes on.
// A run that fails is kept as failed and ends it; another call tries it again.
func Measure(ctx context.Context, b Bench, g Grid, r *Results, progress io.Writer) error {
	todo, all := missing(g, r.Rows)
	if done := all - len(todo); done > 0 {
		fmt.Fprintf(progress, "%d of %d runs are there already\n", done, all)
	}
	for i, run := range todo {
		var row Row
		err := ctx.Err()
		if err == nil {
			row, err = measure(ctx, b, g, run)
		}
		if err != nil && ctx.Err() != nil { // what was measured before it counts
			return fmt.Errorf("%w after %d of %d runs", ErrInterrupted, all-len(todo)+i, all)
		}
		if kept := r.Add(row); kept != nil {
			return errors.Join(err, kept)
		}
		if err != nil {
			return fmt.Errorf("run %d of %d (%s): %w", all-len(todo)+i+1, all, run.Cell, err)
		}
		fmt.Fprintf(progress, "%d/%d %s%s\n", all-len(todo)+i+1, all, row.line(g), leftLine(todo[i+1:], r.Rows))
	}
	return nil
}

// missing returns the runs that the rows lack, and how many the grid has.
func missing(g Grid, rows []Row) (todo []Run, all int) {
	done := make(map[Run]bool)
	for _, r := range rows {
		done[r.Run] = done[r.Run] || r.Failed == ""
	}
	for run := range g.Runs() {
		if all++; !done[run] {
			todo = append(todo, run)
		}
	}
	return todo, all
}

// measure makes one run.
func measure(ctx context.Context, b Bench, g Grid, run Run) (Row, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, RunTimeout, fmt.Errorf("it took longer than %s", RunTimeout))
	defer cancel()
	began := time.Now()
	m, err := b.Measure(ctx, run)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	row := Row{Run: run, Measured: m, Images: g.ImagesOf(run.Cell), Seconds: time.Since(began).Seconds(), At: began}
	if err != nil {
		row.Failed, row.Measured = err.Error(), Measured{}
	}
	return row, err
}

// line says what a run measured.
func (r Row) line(g Grid) string {
	which := fmt.Sprintf("repetition %d of %d", r.Repetition, g.Repetitions)
	if r.Repetition < 1 {
		which = "warm-up"
	}
	s := fmt.Sprintf("%s, %s:", r.Cell, which)
	if r.Written > 0 {
		s += fmt.Sprintf(" written %s/s", Thousands(r.Written))
	}
	if r.Read > 0 {
		s += fmt.Sprintf(" read %s/s", Thousands(r.Read))
	}
	return s
}

// leftLine says how long what is left will take.
func leftLine(todo []Run, rows []Row) string {
	if len(todo) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s left", left(todo, rows).Round(time.Second))
}

// left estimates how long runs will take: as long as those of their scenario and reader
// took, or as all did where there is none.
func left(todo []Run, rows []Row) time.Duration {
	type kind struct {
		Scenario
		Reader
	}
	type mean struct{ seconds, n float64 }
	kinds, all := make(map[kind]mean), mean{}
	for _, r := range rows {
		if r.Failed != "" {
			continue
		}
		k := kind{r.Scenario, r.Reader}
		kinds[k] = mean{kinds[k].seconds + r.Seconds, kinds[k].n + 1}
		all = mean{all.seconds + r.Seconds, all.n + 1}
	}
	var seconds float64
	for _, r := range todo {
		m, ok := kinds[kind{r.Scenario, r.Reader}]
		if !ok {
			m = all
		}
		seconds += m.seconds / max(1, m.n)
	}
	return time.Duration(seconds * float64(time.Second))
}
