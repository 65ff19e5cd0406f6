package kernel

import "slices"

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
		for _, i := range spec.Unsteady {
			if !slices.Contains(s.unsteady, i) {
				s.unsteady = append(s.unsteady, i)
			}
		}
		if s.state != active {
			s.holders, s.bound = k.resolve(spec.Holders), spec.Bound
			if s.link(spec.Parents) {
				affected = append(affected, s.jobs...)
				for _, o := range s.jobs {
					k.claimParents(o, s)
				}
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
	s.place.last, s.place.used = max(s.place.last, s.batch.seq), k.stages
	j.stages = append(j.stages, s)
	k.claimParents(j, s)
}

func (k *Kernel) claimParents(j *job, s *stage) {
	for _, p := range s.parents {
		k.claim(j, p)
	}
}

// link adds parents that the stage doesn't have yet. It reports whether there are any.
func (s *stage) link(parents []int32) (added bool) {
	for _, id := range parents {
		if p := s.batch.stages[id]; !slices.Contains(s.parents, p) {
			s.parents, added = append(s.parents, p), true
			p.readers = append(p.readers, s)
		}
	}
	return added
}

// unlink drops the parents that aren't among those named.
func (s *stage) unlink(named []int32) {
	s.parents = slices.DeleteFunc(s.parents, func(p *stage) bool {
		if slices.Contains(named, p.id) {
			return false
		}
		p.readers = slices.DeleteFunc(p.readers, func(r *stage) bool { return r == s })
		return true
	})
}

// blockMissing takes in that an attempt needed a cached block which is gone. The first
// of a stage attempt has the jobs cut again. It is an interruption like others, so
// that nothing goes on for ever.
func (k *Kernel) blockMissing(a attempt, x *executor) {
	s := a.stage
	k.retry(a, nil, x.id, false)
	if a.stageAttempt != s.attempt || s.uncut || len(s.jobs) == 0 {
		k.resubmit(slices.Clone(s.jobs))
		return
	}
	k.park(s)
	s.uncut = true
	for _, j := range s.jobs {
		k.do(CutAgain{j.id, a.task})
	}
}

// resolve returns the executors of the given names that are there.
func (k *Kernel) resolve(names []string) []*executor {
	if names == nil {
		return nil
	}
	all := make([]*executor, len(names))
	for i, name := range names {
		all[i] = k.executors[name]
	}
	return all
}

// holder returns the executor that holds a cached block for a task, nil if none is
// known or it is gone.
func (s *stage) holder(i int32) *executor {
	p := int(s.partition(i))
	if p >= len(s.holders) || s.holders[p] == nil || s.holders[p].gone {
		return nil
	}
	return s.holders[p]
}
