package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// progress tells on standard error which runs are done, and how long the others will take.
type progress struct {
	kinds []runKind
	ended int
	last  time.Time // when the newest run ended, or the first began
}

// runKind is runs of one work on one system, which take about as long as each other.
type runKind struct {
	work, system string
	about        time.Duration // that one takes, as far as that is known beforehand; else 0
	runs, ended  int
	took         time.Duration // those that have ended
}

// plan adds runs to come.
func (p *progress) plan(work, system string, about time.Duration, runs int) {
	p.kinds = append(p.kinds, runKind{work: work, system: system, about: about, runs: runs})
}

// begin starts the clock.
func (p *progress) begin() { p.last = time.Now() }

// runs returns how many there are, with those that have ended.
func (p *progress) runs() (n int) {
	for _, k := range p.kinds {
		n += k.runs
	}
	return n
}

// kind returns a kind that is planned.
func (p *progress) kind(work, system string) *runKind {
	i := slices.IndexFunc(p.kinds, func(k runKind) bool { return k.work == work && k.system == system })
	return &p.kinds[i]
}

// noMore takes away what is left of a kind.
func (p *progress) noMore(work, system string) {
	k := p.kind(work, system)
	k.runs = k.ended
}

// done says what a run has found.
func (p *progress) done(work, system, found string) {
	k, now := p.kind(work, system), time.Now()
	k.ended++
	k.took += now.Sub(p.last)
	p.ended, p.last = p.ended+1, now
	fmt.Fprintf(os.Stderr, "%d of %d  %s on %s: %s  (%s left)\n", p.ended, p.runs(), work, system, found, p.left().Round(time.Second))
}

// left estimates how long the runs to come will take. Those of a kind that hasn't begun take
// what is known of it beforehand; else as long as the system's other works of which nothing is
// known beforehand either, or as all of those, or as all runs.
func (p *progress) left() (left time.Duration) {
	for _, k := range p.kinds {
		one := k.about
		switch {
		case k.ended > 0:
			one = k.took / time.Duration(k.ended)
		case k.about == 0:
			one = cmp.Or(
				p.mean(func(o runKind) bool { return o.about == 0 && o.system == k.system }),
				p.mean(func(o runKind) bool { return o.about == 0 }),
				p.mean(func(runKind) bool { return true }))
		}
		left += one * time.Duration(k.runs-k.ended)
	}
	return left
}

// mean returns what the runs took that have ended of some kinds, 0 if there are none.
func (p *progress) mean(of func(runKind) bool) time.Duration {
	var took time.Duration
	n := 0
	for _, k := range p.kinds {
		if of(k) {
			took, n = took+k.took, n+k.ended
		}
	}
	return took / time.Duration(max(n, 1))
}

// why returns what the runs ended with: err, or if that is because ctx ended how many there
// were until then.
func (p *progress) why(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w after %d of %d runs", paper.ErrInterrupted, p.ended, p.runs())
}
