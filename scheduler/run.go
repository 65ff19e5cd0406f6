package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler/kernel"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// stage returns a stage of a batch, nil if no job has named it.
func (d *DAGScheduler) stage(batch uint64, id int32) *stageRun {
	if b := d.batches[batch]; b != nil {
		return b.stages[id]
	}
	return nil
}

// submit hands a job to the kernel.
func (d *DAGScheduler) submit(j *jobRun) {
	switch id := j.id(); {
	case d.closing:
		j.end(ErrClosed)
		return
	case d.jobs[id] != nil:
		j.end(fmt.Errorf("batch %d, output %d: %w", id.Batch, id.Output, ErrDuplicateJob))
		return
	default:
		d.jobs[id] = j
	}
	b := d.batches[j.job.Batch]
	if b == nil {
		b = &batchRun{stages: make(map[int32]*stageRun, len(j.stages))}
		d.batches[j.job.Batch] = b
	}
	b.jobs++
	d.step(kernel.JobSubmitted{Job: j.id(), Stages: d.take(b, j)}, nil)
}

// cutAgain tells the kernel a job's stages by what is cached now.
func (d *DAGScheduler) cutAgain(j *jobRun) {
	if d.jobs[j.id()] == j {
		j.cut(d.blocks)
		d.step(kernel.JobCut{Job: j.id(), Stages: d.take(d.batches[j.job.Batch], j)}, nil)
	}
}

// cancel asks the kernel for a job's end.
func (d *DAGScheduler) cancel(j *jobRun, cause error) {
	if d.jobs[j.id()] == j {
		j.cause = cause
		d.step(kernel.JobCancelled{Job: j.id()}, nil)
	}
}

// taskEnded hands a task's end to the kernel.
func (d *DAGScheduler) taskEnded(executor string, id TaskID, outcome Outcome) {
	if id.Incarnation != d.opts.Incarnation || id.Epoch != d.opts.Epoch {
		d.opts.Logger.Warn("ignored a task of another driver", "executor", executor, "task", id, "incarnation", id.Incarnation, "epoch", id.Epoch)
		return
	}
	if s, ok := outcome.(Success); ok { // also if nobody needs what the task did any more
		d.blocks.Add(executor, s.Stored)
	}
	outcome = d.checked(id, outcome)
	e := kernel.TaskEnded{Executor: executor, Task: kernelTask(id)}
	switch o := outcome.(type) {
	case Success:
		e.How, e.Freed = kernel.Succeeded, o.Freed
	case BlockMissing:
		e.How = kernel.BlockMissing
		d.strike(executor, id, o)
	case FetchFailed:
		e.How, e.Fetch = kernel.FetchFailed, kernel.Fetch{Stage: o.Shuffle, Partition: o.MapPartition, Executor: o.Executor}
	default:
		e.How = kernel.Interrupted
		x, _ := outcome.(ExceptionFailure)
		switch {
		case x.Permanent && x.CountsAgainst():
			e.How = kernel.Hopeless
		case outcome.CountsAgainst():
			e.How = kernel.Failed
		}
	}
	if e.How != kernel.Succeeded {
		d.noteFailure(executor, id, outcome)
	}
	d.step(e, outcome)
}

// strike takes in that cached partitions aren't where they should be.
func (d *DAGScheduler) strike(executor string, id TaskID, o BlockMissing) {
	if o.Executor != "" {
		executor = o.Executor
	}
	for _, b := range o.Blocks {
		d.blocks.Remove(executor, b)
	}
	if r := d.stage(id.Batch, id.Stage); r != nil && len(o.Blocks) == 0 {
		for _, n := range r.stage.Cached {
			d.blocks.RemoveAll(executor, n.ID)
		}
	}
}

// commitAsked hands a task's question to the kernel. One of another driver is told
// no: what that driver's tasks would commit this driver's do.
func (d *DAGScheduler) commitAsked(executor string, id TaskID) {
	if id.Incarnation != d.opts.Incarnation || id.Epoch != d.opts.Epoch {
		d.backend.AnswerCommit(executor, id, false)
		return
	}
	d.step(kernel.CommitAsked{Executor: executor, Task: kernelTask(id)}, nil)
}

func kernelTask(id TaskID) kernel.Task {
	return kernel.Task{Batch: id.Batch, Stage: id.Stage, Partition: id.Partition, Attempt: id.Attempt}
}

// checked returns the outcome, or a failure in its place if it can't be that of
// the task.
func (d *DAGScheduler) checked(id TaskID, outcome Outcome) Outcome {
	wrong := ""
	switch o := outcome.(type) {
	case nil:
		wrong = "the executor reported no outcome"
	case BlockMissing:
		if r := d.stage(id.Batch, id.Stage); r != nil && len(r.stage.Cached) == 0 {
			wrong = "the task misses cached partitions, of which its stage reads none: " + o.Message
		}
	case Success:
		r := d.stage(id.Batch, id.Stage)
		if _, isMap := id.Shuffle(); isMap && r != nil && r.stage.Shuffle != nil && (o.Map == nil || len(o.Map.Bytes) != r.stage.Shuffle.Partitions()) {
			wrong = "the executor reported a map task's success without the sizes of its blocks"
		} else if isMap && r != nil && !(&shuffle.Output{Bytes: o.Map.Bytes, Small: o.Map.Small}).IsWhole() {
			wrong = "the executor reported a map task's success with blocks of other sizes than it said"
		}
	}
	if wrong != "" {
		return ExceptionFailure{Message: wrong}
	}
	return outcome
}

// noteFailure counts and logs an attempt that didn't succeed, unless nobody waits
// for it any more.
func (d *DAGScheduler) noteFailure(executor string, id TaskID, outcome Outcome) {
	if d.countFailure(id.Batch, id.Stage) {
		d.opts.Logger.Warn("task failed", "task", id, "executor", executor, "cause", outcome.Reason(), "counts", outcome.CountsAgainst())
	}
}

// countFailure counts an attempt that didn't succeed. It reports whether somebody waits for
// the stage still.
func (d *DAGScheduler) countFailure(batch uint64, stage int32) bool {
	r := d.stage(batch, stage)
	if r == nil || len(r.jobs) == 0 {
		return false
	}
	r.jobs[0].result.Failed++
	return true
}

// executorLost takes in that an executor is gone, or why one that was lost has died. Both
// may come first.
func (d *DAGScheduler) executorLost(lost ExecutorLost) {
	switch there := d.executors[lost.Executor]; {
	case there:
		d.opts.Logger.Warn("executor lost", "executor", lost.Executor, "cause", lost.Message, "counts", lost.CountsAgainst())
	case lost.ByTask:
		d.opts.Logger.Warn("the process of a lost executor died by itself: that counts against the tasks that it ran", "executor", lost.Executor, "cause", lost.Message)
	}
	delete(d.executors, lost.Executor)
	d.blocks.Lose(lost.Executor)
	d.step(kernel.ExecutorLost{Executor: lost.Executor, ByTask: lost.ByTask}, lost)
}

// step feeds the kernel and carries out its decisions. outcome is that of the
// event, if it has one.
func (d *DAGScheduler) step(e kernel.Event, outcome Outcome) {
	var again []*jobRun
	for _, a := range d.kernel.Step(time.Since(d.started), e) {
		switch a := a.(type) {
		case kernel.Launch:
			d.launch(a)
		case kernel.Kill:
			d.backend.Kill(a.Executor, d.taskID(a.Task), "its result is no longer needed")
		case kernel.CommitAnswer:
			d.backend.AnswerCommit(a.Executor, d.taskID(a.Task), a.Granted)
		case kernel.Accept:
			d.accept(a, outcome.(Success)) // the kernel accepts only what Succeeded
		case kernel.OutputLost:
			d.tracker.Remove(a.Batch, a.Stage, a.Partition)
		case kernel.RolledBack:
			d.dropUnsteady(a)
		case kernel.CutAgain:
			again = append(again, d.jobs[a.Job])
		case kernel.AttemptLost:
			d.countFailure(a.Task.Batch, a.Task.Stage)
		case kernel.JobDone:
			j := d.retire(a.Job)
			j.result.Time, j.result.Updates = time.Since(j.submitted), j.updates.inOrder()
			j.end(nil)
		case kernel.JobFailed:
			err := d.jobError(a, outcome)
			d.retire(a.Job).end(err)
		case kernel.Wake:
			d.timer.Reset(max(0, a.At-time.Since(d.started)))
		}
	}
	for _, j := range again {
		d.cutAgain(j)
	}
}

// dropUnsteady has executors drop what a stage kept that was rolled back: partitions that
// are left would be read together with others that are computed from other records.
func (d *DAGScheduler) dropUnsteady(a kernel.RolledBack) {
	r := d.stage(a.Batch, a.Stage)
	if r == nil || len(r.unsteady) == 0 {
		return
	}
	for _, id := range r.unsteady {
		d.blocks.Drop(id)
	}
	d.backend.DropCached(r.unsteady)
}

func (d *DAGScheduler) taskID(t kernel.Task) TaskID {
	return TaskID{d.opts.Incarnation, d.opts.Epoch, t.Batch, t.Stage, t.Partition, t.Attempt}
}

// launch gives a task to the backend.
func (d *DAGScheduler) launch(a kernel.Launch) {
	id, r := d.taskID(a.Task), d.stage(a.Task.Batch, a.Task.Stage)
	if r.attempt != a.StageAttempt {
		r.attempt, r.inputs = a.StageAttempt, nil
		for _, shuffle := range union(slices.Clone(r.stage.Parents), r.stage.Spare) {
			outs, err := d.tracker.Outputs(id.Batch, shuffle)
			if err != nil && len(r.stage.Cached) > 0 {
				continue // what is made from it is cached, or will be missed
			}
			if err != nil { // the kernel's invariant is that there are all
				err = fmt.Errorf("launching %s: %w", id, err)
				d.post(func() { d.taskEnded(a.Executor, id, Failed(context.Background(), err)) })
				r.attempt = -1
				return
			}
			r.inputs = append(r.inputs, outs)
		}
	}
	t := Task{ID: id, Inputs: r.inputs}
	if r.stage.Keeps && r.stage.Node != nil {
		t.Elsewhere = d.blocks.elsewhere(a.Executor, r.stage.Node, int(a.Task.Partition))
	}
	d.backend.Launch(a.Executor, t)
}

// accept keeps what a task brought.
func (d *DAGScheduler) accept(a kernel.Accept, s Success) {
	t := a.Task
	r, j := d.stage(t.Batch, t.Stage), d.jobs[a.Job]
	j.result.Tasks++
	j.ran[t.Stage] = struct{}{}
	j.result.Stages = len(j.ran)
	j.result.Metrics.Add(s.Metrics)
	j.updates.add(t, s.Updates)
	if n := s.Metrics.NotKept; n > 0 {
		d.opts.Logger.Warn("partitions that were to be kept were not, since the executor's local disk didn't take them: is it full?", "executor", a.Executor, "task", d.taskID(t), "partitions", n)
	}
	j.result.Notes = append(j.result.Notes, s.Notes...)
	if r.stage.Kind == ShuffleMap {
		d.tracker.Add(shuffle.MapID{Batch: t.Batch, Shuffle: t.Stage, Map: t.Partition, Attempt: t.Attempt}, a.Executor, s.Map.Bytes, s.Map.Small)
	} else {
		j.result.Partitions[j.job.place(t.Partition)] = s.Result
		j.bytes += int64(len(s.Result))
	}
	if j.bytes+j.updates.bytes > d.opts.MaxResultBytes {
		n := r.stage.Node
		err := &lineage.OpError{Op: n.Op, Site: n.Site, Err: fmt.Errorf("%w: more than %d bytes from %d partitions", lineage.ErrResultTooLarge, d.opts.MaxResultBytes, j.job.width())}
		d.post(func() { d.cancel(j, err) })
	}
}

// jobError puts the reason for giving up a job into words.
func (d *DAGScheduler) jobError(a kernel.JobFailed, outcome Outcome) error {
	name := jobName(a.Job.Batch, int(a.Job.Output))
	switch a.Why {
	case kernel.Cancelled:
		return fmt.Errorf("%s: %w", name, d.jobs[a.Job].cause)
	case kernel.Forgotten:
		return fmt.Errorf("%s: %w", name, ErrForgotten)
	case kernel.Malformed:
		return fmt.Errorf("%s: the job's stages don't fit together or differ from those of the batch's other jobs", name)
	}
	e := &JobError{
		Batch: a.Job.Batch, Output: int(a.Job.Output), Stage: a.Task.Stage, Partition: int(a.Task.Partition),
		Attempts: a.Tries, Executor: a.Executor, Message: "failed",
	}
	if r := d.stage(a.Job.Batch, a.Task.Stage); r != nil {
		e.Op, e.Site = r.stage.Node.Op, r.stage.Node.Site
	}
	if outcome != nil {
		e.Message = outcome.Reason()
	}
	if x, ok := outcome.(ExceptionFailure); ok {
		e.Err = x.Err
		if e.Stack = x.Stack; x.Op != "" {
			e.Op, e.Site = x.Op, x.Site
		}
	}
	if x, ok := outcome.(ExecutorLost); ok && x.ByTask {
		e.Message = "the executor process that ran it died: " + x.Message
		if x.LastWords != "" {
			e.Stack = "the last that the process wrote:\n" + x.LastWords
		}
	}
	switch a.Why {
	case kernel.TaskSetbacks:
		e.Message = fmt.Sprintf("interrupted %d times, the last time: %s", maxSetbacks, e.Message)
	case kernel.StageFailures:
		e.Message = fmt.Sprintf("the stage couldn't read its input %d times in a row, the last time: %s", d.opts.MaxStageAttempts, e.Message)
	case kernel.ResultReturned:
		e.Message = "part of the result was returned when output of an indeterminate stage was lost, so the rest can't be computed to match: " + e.Message
	}
	return e
}
