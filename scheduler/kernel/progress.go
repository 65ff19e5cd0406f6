package kernel

// StageProgress says how far a stage is whose tasks run or may be launched.
type StageProgress struct {
	Job   Job // the oldest that needs it
	Stage int32
	// Of so many tasks so many are done, and so many run.
	Tasks, Done, Running int
}

// Progress returns how far the active stages are, by job, each once.
func (k *Kernel) Progress() []StageProgress {
	var all []StageProgress
	for _, j := range k.jobs {
		for _, s := range j.stages {
			if s.state == active && s.jobs[0] == j {
				all = append(all, StageProgress{Job: j.id, Stage: s.id, Tasks: len(s.tasks), Done: s.done, Running: s.running})
			}
		}
	}
	return all
}
