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

// cutJob gives a job the stages that it has by what is cached now.
func (k *Kernel) cutJob(e JobCut) {
	i := slices.IndexFunc(k.jobs, func(j *job) bool { return j.id == e.Job })
	if i < 0 {
		return // it has ended
	}
	j := k.jobs[i]
	if !k.wellFormed(e.Stages, j, e.Job.Batch) {
		k.fail(j, JobFailed{Why: Malformed})
		return
	}
	k.resubmit(k.take(k.batches[e.Job.Batch], j, e.Stages))
}

// take gives a job its stages. A stage that another job needs keeps the parents that
// it has and gets those that are new. While its tasks are launched it keeps to what
// it has: they need no more, or will miss a block. Stages that waited for a newer cut
// go on; if they miss a block again, their jobs are cut once more. It returns the jobs
// to resubmit: others may need what they didn't need before.
func (k *Kernel) take(b *batch, j *job, specs []Stage) []*job {
	affected := []*job{j}
	for _, spec := range specs {
		s := b.stages[spec.ID]
		switch {
		case s == nil:
			s = k.newStage(b, spec)
		case len(s.jobs) == 0:
			s.renew(spec)
		}
		if s.state != active {
			s.holders = k.resolve(spec.Holders)
			s.link(spec.Parents)
			for _, o := range slices.Clone(s.jobs) {
				k.claimParents(o, s)
				affected = append(affected, o)
			}
		}
		k.claim(j, s)
		j.final = s
	}
	for _, s := range j.stages {
		s.uncut = false
	}
	return affected
}

// claim says that a job needs a stage, and with it what that stage reads.
func (k *Kernel) claim(j *job, s *stage) {
	if slices.Contains(s.jobs, j) {
		return
	}
	if len(s.jobs) == 0 {
		s.forgive()
	}
	s.jobs = append(s.jobs, j)
	s.place.last = max(s.place.last, s.batch.seq)
	j.stages = append(j.stages, s)
	k.claimParents(j, s)
}

func (k *Kernel) claimParents(j *job, s *stage) {
	for _, p := range s.parents {
		k.claim(j, p)
	}
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
	}
}

// finish ends a job whose result is complete.
func (k *Kernel) finish(j *job) {
	k.end(j)
	j.final.shelve()
	k.do(JobDone{j.id})
}
