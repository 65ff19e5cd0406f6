package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// progress tells on standard error which runs are done, and how long the others will take.
type progress struct {
	runs, ended int
	began       time.Time
}

// fewer takes away runs that won't be.
func (p *progress) fewer(runs int) { p.runs -= runs }

// done says what a run has found.
func (p *progress) done(format string, args ...any) {
	p.ended++
	left := time.Since(p.began) / time.Duration(p.ended) * time.Duration(p.runs-p.ended)
	fmt.Fprintf(os.Stderr, "%d of %d  %s  (%s left)\n", p.ended, p.runs, fmt.Sprintf(format, args...), left.Round(time.Second))
}

// why returns what the runs ended with: err, or if that is because ctx ended how many there
// were until then.
func (p *progress) why(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w after %d of %d runs", paper.ErrInterrupted, p.ended, p.runs)
}
