package launch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
)

// programWatch shows how a batch program does: a bar for each stage on a terminal, a
// line in the log now and then elsewhere, and to the daemon where there is one. One
// goroutine uses it.
type programWatch struct {
	job     *Job
	driver  *replay.Driver
	cluster cluster

	step     uint64
	since    time.Time // when the step was seen first
	logged   time.Time
	reported time.Time
}

// Times of a programWatch.
const (
	watchInterval = 200 * time.Millisecond
	barDelay      = 500 * time.Millisecond // of a step: what is over sooner needs no bar
	logInterval   = 10 * time.Second
)

// watch watches a batch program until stop is called, which waits for that.
func (j *Job) watch(d *replay.Driver, c cluster) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	now := time.Now()
	w := &programWatch{job: j, driver: d, cluster: c, since: now, logged: now}
	var work sync.WaitGroup
	work.Go(func() { w.run(ctx) })
	return func() {
		cancel()
		work.Wait()
	}
}

func (w *programWatch) run(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(time.Now())
		case <-ctx.Done():
			w.report(w.driver.Summary(), nil)
			return
		}
	}
}

// look shows how the program does now.
func (w *programWatch) look(now time.Time) {
	s := w.driver.Summary()
	if s.Steps != w.step {
		w.step, w.since = s.Steps, now
	}
	if s.Current == "" {
		return
	}
	stages := w.cluster.Progress()
	switch {
	case w.job.Status.Terminal():
		if now.Sub(w.since) >= barDelay {
			w.driver.While(s.Steps, func() { w.job.Status.Set(barsOf(w.job.Status.Room(), s, stages)) })
		}
	case now.Sub(w.logged) >= logInterval:
		w.logged = now
		w.job.Log.Info("the program runs", "step", s.Steps, "at", s.Current, "stages", strings.Join(stageTexts(stages), ", "))
	}
	if now.Sub(w.reported) >= reportInterval {
		w.reported = now
		w.report(s, stages)
	}
}

// barsOf returns the line that a terminal shows, which is so wide.
func barsOf(width int, s replay.Summary, stages []scheduler.StageProgress) string {
	line := fmt.Sprintf("step %d  ", s.Steps)
	if len(stages) == 0 {
		return line + s.Current
	}
	bars := make([]cli.Stage, len(stages))
	for i, p := range stages {
		bars[i] = cli.Stage{Name: stageName(p), Tasks: p.Tasks, Done: p.Done, Running: p.Running}
	}
	return line + cli.StageBars(max(1, width-len(line)), bars)
}

// stageName returns what people are told of which stage it is.
func stageName(p scheduler.StageProgress) string { return fmt.Sprintf("%s at %s", p.Op, p.Site) }

// stageTexts returns a few words on each stage.
func stageTexts(stages []scheduler.StageProgress) []string {
	texts := make([]string, len(stages))
	for i, p := range stages {
		texts[i] = fmt.Sprintf("%s: %d of %d tasks done, %d run", stageName(p), p.Done, p.Tasks, p.Running)
	}
	return texts
}

// report tells the daemon, if there is one.
func (w *programWatch) report(s replay.Summary, stages []scheduler.StageProgress) {
	if w.job.reports == nil {
		return
	}
	p := &wire.ProgramProgress{Step: s.Steps, At: s.Current, Tasks: s.Tasks, Failed: s.Failed, Actions: s.Actions, StagesRun: s.Stages, Shuffled: s.Metrics.ShuffleWritten, Bad: s.Metrics.BadRecords}
	for _, stage := range stages[:min(len(stages), wire.MaxStages)] {
		p.Stages = append(p.Stages, wire.StageProgress{
			Name: stageName(stage), Tasks: stage.Tasks, Done: stage.Done, Running: stage.Running,
		})
	}
	w.job.reports.program(p, s.Metrics.RecordsRead)
}
