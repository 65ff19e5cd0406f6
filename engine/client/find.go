package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Find returns the job that people mean: by its number, its submission id or its
// name. Of several of one name it is the one that hasn't ended, or the newest if
// all have; it is an error if several haven't. Digits are a job's number, and if no job
// has it a name.
func (c *Client) Find(ctx context.Context, job string) (wire.JobRef, error) {
	if n, err := strconv.ParseUint(job, 10, 64); err == nil && n > 0 {
		ref := wire.JobRef{Incarnation: n}
		_, unknown := c.Status(ctx, ref)
		if !errors.Is(unknown, wire.ErrNoJob) {
			return ref, unknown
		}
		if ref, err = c.find(ctx, job); errors.Is(err, wire.ErrNoJob) {
			err = unknown
		}
		return ref, err
	}
	return c.find(ctx, job)
}

// find is Find of a name or a submission id.
func (c *Client) find(ctx context.Context, job string) (wire.JobRef, error) {
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return wire.JobRef{}, err
	}
	return pick(jobs, job)
}

// pick returns the job of a submission id or of a name, of jobs with the newest
// first.
func pick(jobs []wire.JobStatus, job string) (wire.JobRef, error) {
	var meant uint64
	var live []string   // numbers
	var called []string // names and submission ids
	for _, st := range slices.Backward(jobs) {
		n := st.Spec.Incarnation
		called = append(called, st.Spec.Name, st.Spec.Submission)
		switch {
		case st.Spec.Submission == job && job != "":
			return wire.JobRef{Incarnation: n}, nil
		case st.Spec.Name != job:
			continue
		case !st.State.Final():
			live = append(live, strconv.FormatUint(n, 10))
		}
		if len(live) == 0 || !st.State.Final() {
			meant = n
		}
	}
	switch {
	case meant == 0:
		return wire.JobRef{}, fmt.Errorf("%w: none has the submission id or the name %q%s", wire.ErrNoJob, job, cli.DidYouMean(job, called))
	case len(live) > 1:
		return wire.JobRef{}, wire.Misuse(fmt.Sprintf("jobs %s are all named %q; give the number of the one that is meant", strings.Join(live, ", "), job))
	}
	return wire.JobRef{Incarnation: meant}, nil
}
