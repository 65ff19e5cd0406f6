package scheduler

import "github.com/hibana-engine/hibana/rdd/lineage"

// StageProgress says how far a stage is whose tasks run or may be launched.
type StageProgress struct {
	Batch  uint64
	Output int // whose job needs it
	Stage  int32
	// Op and Site are the operator whose RDD the stage computes.
	Op   string
	Site lineage.Site
	// Of so many tasks so many are done, and so many run.
	Tasks, Done, Running int
}

// Progress returns how far the stages are that run, by job. It is empty when the
// scheduler is closed.
func (d *DAGScheduler) Progress() []StageProgress {
	answer := make(chan []StageProgress, 1)
	if !d.post(func() { answer <- d.progress() }) {
		return nil
	}
	return <-answer // what was posted is called, also if the scheduler is closed meanwhile
}

// progress is called by loop.
func (d *DAGScheduler) progress() []StageProgress {
	var all []StageProgress
	for _, p := range d.kernel.Progress() {
		s := StageProgress{Batch: p.Job.Batch, Output: int(p.Job.Output), Stage: p.Stage, Tasks: p.Tasks, Done: p.Done, Running: p.Running}
		if r := d.stage(p.Job.Batch, p.Stage); r != nil {
			s.Op, s.Site = r.stage.Node.Op, r.stage.Node.Site
		}
		all = append(all, s)
	}
	return all
}
