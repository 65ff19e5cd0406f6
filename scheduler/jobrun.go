package scheduler

import (
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler/kernel"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// jobRun is a job that was submitted. Its result and err are set before ended is
// closed.
type jobRun struct {
	job       Job
	stages    []Stage     // how it is cut
	cuts      int         // how often it was
	runs      []*stageRun // of the stages of all cuts
	submitted time.Time
	ran       map[int32]struct{} // stages of which a task counted
	bytes     int64              // of the result so far
	updates   updates
	cause     error // why it was cancelled
	result    *JobResult
	err       error
	ended     chan struct{}
}

func newJobRun(job Job) *jobRun {
	job.Partitions = slices.Clone(job.Partitions)
	r := &JobResult{Partitions: make([][]byte, job.width())}
	return &jobRun{job: job, submitted: time.Now(), result: r, ran: make(map[int32]struct{}), ended: make(chan struct{})}
}

func (j *jobRun) id() kernel.Job { return kernel.Job{Batch: j.job.Batch, Output: int32(j.job.Output)} }

// maxCuts is how often a job's lineage is cut at what is cached. Then it relies on
// nothing that may be gone.
const maxCuts = 4

// cut cuts the job's lineage at what is cached.
func (j *jobRun) cut(b *Blocks) {
	stored := b.Whole
	if j.cuts++; j.cuts > maxCuts {
		stored = nil
	}
	j.stages = Cut(j.job.Output, j.job.Final, stored)
}

// batchRun holds the stages of a batch that isn't forgotten.
type batchRun struct {
	stages map[int32]*stageRun
	jobs   int // that run
}

// stageRun is a stage of a batch, as its jobs have cut it.
type stageRun struct {
	stage   Stage     // Parents, Cached and Spare are those of all cuts; Node, Shuffle and Cached are nil without jobs
	jobs    []*jobRun // that named it and haven't ended, the oldest first
	attempt int32     // that inputs are of, -1 before the first
	inputs  []*shuffle.Outputs
	// unsteady are the cached RDDs among those that the stage's tasks compute whose
	// partitions another attempt may make otherwise.
	unsteady []lineage.ID
}

// take notes a job's stages and returns them for the kernel.
func (d *DAGScheduler) take(b *batchRun, j *jobRun) []kernel.Stage {
	specs := make([]kernel.Stage, len(j.stages))
	for i, s := range j.stages {
		holders, bound := d.blocks.nearest(s.Node)
		specs[i] = kernel.Stage{
			ID: s.ID, Partitions: s.Partitions, Parents: s.Parents,
			Indeterminate: s.Indeterminate, Input: kernel.Input(s.Input), Holders: holders, Bound: bound,
		}
		varying := unsteady(s.Node)
		for _, id := range varying {
			specs[i].Unsteady = append(specs[i].Unsteady, kernel.Input{DStream: id.DStream, Ordinal: id.Ordinal})
		}
		r := b.stages[s.ID]
		if r == nil {
			r = &stageRun{stage: s, attempt: -1}
			r.stage.Parents, r.stage.Cached, r.stage.Spare = nil, nil, nil
			b.stages[s.ID] = r
		}
		r.stage.Node, r.stage.Shuffle = s.Node, s.Shuffle
		r.stage.Parents = union(r.stage.Parents, s.Parents)
		r.stage.Cached = union(r.stage.Cached, s.Cached)
		r.stage.Spare = union(r.stage.Spare, s.Spare)
		r.stage.Keeps = r.stage.Keeps || s.Keeps
		r.unsteady = union(r.unsteady, varying)
		if !slices.Contains(r.jobs, j) {
			r.jobs, j.runs = append(r.jobs, j), append(j.runs, r)
		}
		if s.Kind == ShuffleMap {
			d.tracker.Register(j.job.Batch, s.ID, s.Partitions)
		}
	}
	specs[len(specs)-1].Only = j.job.Partitions
	return specs
}

// union appends to a what of b isn't there.
func union[T comparable](a, b []T) []T {
	for _, v := range b {
		if !slices.Contains(a, v) {
			a = append(a, v)
		}
	}
	return a
}

// retire takes a job that has ended off its stages. Those that left no map output go
// with it, unless another job may have come to need them.
func (d *DAGScheduler) retire(id kernel.Job) *jobRun {
	j := d.jobs[id]
	delete(d.jobs, id)
	b := d.batches[id.Batch]
	b.jobs--
	for _, r := range j.runs {
		r.jobs = slices.DeleteFunc(r.jobs, func(o *jobRun) bool { return o == j })
		if r.stage.Kind == Result || b.jobs == 0 && r.attempt < 0 {
			delete(b.stages, r.stage.ID)
		}
		if len(r.jobs) == 0 { // the program may let the RDDs go
			r.stage.Node, r.stage.Shuffle, r.stage.Cached = nil, nil, nil
		}
	}
	if len(b.stages) == 0 {
		delete(d.batches, id.Batch)
	}
	return j
}

// end tells the submitter.
func (j *jobRun) end(err error) {
	if err != nil {
		j.result.Partitions, j.err = nil, err
	}
	close(j.ended)
}
