package kernel

import "slices"

// submitJob makes the stages that the batch doesn't have yet and starts those
// that can run.
func (k *Kernel) submitJob(e JobSubmitted) {
	switch {
	case e.Job.Batch < k.since:
		k.do(JobFailed{Job: e.Job, Why: Forgotten, Task: noTask(e.Job)})
		return
	case !k.wellFormed(e.Stages, nil, e.Job.Batch):
		k.do(JobFailed{Job: e.Job, Why: Malformed, Task: noTask(e.Job)})
		return
	}
	b := k.batches[e.Job.Batch]
	if b == nil {
		b = &batch{seq: e.Job.Batch, stages: make(map[int32]*stage, len(e.Stages))}
		k.batches[b.seq] = b
	}
	j := &job{id: e.Job, stages: make([]*stage, 0, len(e.Stages))}
	k.jobs = append(k.jobs, j)
	k.resubmit(k.take(b, j, e.Stages))
}

// wellFormed reports whether a job's stages name parents that come before them, both
// in the list and by number, agree with what the batch has, and end with a result
// stage that no other job runs.
func (k *Kernel) wellFormed(stages []Stage, of *job, batch uint64) bool {
	b := k.batches[batch]
	for i, spec := range stages {
		for _, p := range spec.Parents {
			if p < 0 || spec.ID >= 0 && p >= spec.ID || !slices.ContainsFunc(stages[:i], func(s Stage) bool { return s.ID == p }) {
				return false
			}
		}
		if last := i == len(stages)-1; last != (spec.ID < 0) || spec.Partitions < 0 || !wellChosen(spec) {
			return false
		}
		if b == nil || b.stages[spec.ID] == nil {
			continue
		}
		s := b.stages[spec.ID]
		if s.partitions != spec.Partitions || spec.ID < 0 && len(s.jobs) > 0 && s.jobs[0] != of {
			return false
		}
	}
	return len(stages) > 0
}

// wellChosen reports whether the partitions that a stage is to compute are some of
// its own, ascending, and the stage is one that may leave others out.
func wellChosen(spec Stage) bool {
	last := int32(-1)
	for _, p := range spec.Only {
		if p <= last || int(p) >= spec.Partitions {
			return false
		}
		last = p
	}
	return spec.Only == nil || spec.ID < 0
}

// cancelJob ends a job on request.
func (k *Kernel) cancelJob(id Job) {
	if i := slices.IndexFunc(k.jobs, func(j *job) bool { return j.id == id }); i >= 0 {
		k.fail(k.jobs[i], JobFailed{Why: Cancelled})
	}
}

// fail gives a job up. why needs no Job, and no Task if none is to blame.
func (k *Kernel) fail(j *job, why JobFailed) {
	why.Job = j.id
	if why.Tries == 0 {
		why.Task = noTask(j.id)
	}
	k.end(j)
	k.do(why)
}

// failAll gives up the jobs that need a stage.
func (k *Kernel) failAll(s *stage, why JobFailed) {
	for _, j := range slices.Clone(s.jobs) {
		k.fail(j, why)
	}
}

func noTask(j Job) Task { return Task{Batch: j.Batch, Stage: -1 - j.Output, Partition: -1} }

// end takes a job off its stages; those that no other job needs stop.
func (k *Kernel) end(j *job) {
	j.ended = true
	k.jobs = slices.DeleteFunc(k.jobs, func(o *job) bool { return o == j })
	for _, s := range j.stages {
		s.jobs = slices.DeleteFunc(s.jobs, func(o *job) bool { return o == j })
		if len(s.jobs) == 0 {
			k.stop(s)
		}
	}
}

// resubmit starts what jobs need and can be started, after something was lost or
// submitted. It keeps jobs: callers clone lists that change.
func (k *Kernel) resubmit(jobs []*job) {
	for again := true; again; {
		again = false
		k.round++
		for _, j := range jobs {
			if !j.ended && k.submit(j.final, &again) {
				k.finish(j)
			}
		}
		jobs = append(jobs, k.rolled...) // others than were asked for, maybe
		k.rolled = nil
	}
}

// finish ends a job whose result is complete.
func (k *Kernel) finish(j *job) {
	k.end(j)
	j.final.shelve()
	k.do(JobDone{j.id})
}
