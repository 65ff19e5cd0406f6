package main

import (
	"fmt"
	"os"
	"time"
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
