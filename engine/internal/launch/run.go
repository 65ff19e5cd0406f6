package launch

import (
	"context"
	"errors"
	"os"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// RunProcess is Run for a process that ends with the job. It returns without
// waiting for Run when functions of the program hold that up for too long after a
// failure, or after an interrupt that is to end the process at once.
func (j *Job) RunProcess(ctx, planning context.Context, m Master) error {
	j.calls = &plan.Calls{}
	defer j.calls.Close()
	j.farewell = newFarewell(j.calls, j.Log)
	defer j.farewell.end()
	switch {
	case j.Batch: // an interrupt ends it, but not in the middle of what its functions do
		defer context.AfterFunc(planning, func() { j.farewell.begin(plan.ErrInterrupted, failPatience) })()
	case !j.Settings.StopGracefully:
		defer context.AfterFunc(planning, func() { j.farewell.begin(plan.ErrStopped, stopPatience) })()
	}
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx, planning, m) }() // left behind if it is held up: the process ends then
	select {
	case err := <-done:
		return err
	case err := <-j.farewell.over:
		return err
	}
}

// Run runs the job to its end. Planning ends with planning, which may be before
// the job is under way: batches that an earlier driver has left are finished.
// Getting under way ends with ctx. Run closes the job's log.
func (j *Job) Run(ctx, planning context.Context, m Master) (err error) {
	if j.calls == nil {
		j.calls = &plan.Calls{}
		defer j.calls.Close()
	}
	defer func() { err = errors.Join(err, m.close(), j.removeTemporary(), j.Batches.Close()) }()
	if err := j.openMetrics(ctx, m); err != nil {
		return err
	}
	defer func() { j.metrics.close() }()
	p, err := j.prepare(ctx, m)
	if err != nil {
		return err
	}
	return p.activate(ctx, planning)
}

// removeTemporary removes the job's directories, when no executor of this process writes
// to them any more.
func (j *Job) removeTemporary() (err error) {
	for _, dir := range j.temporary {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
