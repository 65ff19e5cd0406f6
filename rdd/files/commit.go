package files

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// commit is the end of an output. The process may pause between any two of its steps, and
// another job, such as the next driver's, begin the output anew and even commit it: what
// that one writes stays.
type commit struct {
	*Output
	m *Manifest

	replaces bool     // the directory has a manifest
	gone     []string // parts that won't count
}

// check makes sure that no other job has begun the output. The parts to remove are listed
// before that: those that another job writes come after it has begun.
func (c *commit) check(ctx context.Context) error {
	list, err := c.bucket.entries(ctx, c.dir)
	mine := false
	if err == nil {
		mine, err = c.begun(ctx)
	}
	if err != nil || !mine {
		return errors.Join(fmt.Errorf("%w: another job began to write to %s", ErrUnfinished, c), err)
	}
	c.replaces, c.gone = has(list, manifestName), nil
	for _, e := range list {
		if !e.isDir && isPart(e.name) && !c.m.lists(e.name) {
			c.gone = append(c.gone, e.name)
		}
	}
	return nil
}

// publish writes the manifest. Where there was none, one that has come since then is an
// error that says [ErrExists].
func (c *commit) publish(ctx context.Context) error {
	data, err := c.m.Encode()
	if err != nil {
		return err
	}
	return c.bucket.write(ctx, path.Join(c.dir, manifestName), data, !c.replaces)
}

// tidy removes what doesn't count.
func (c *commit) tidy(ctx context.Context) (err error) {
	for _, name := range c.gone {
		err = errors.Join(err, c.bucket.Remove(ctx, path.Join(c.dir, name)))
	}
	return errors.Join(err, c.end(ctx))
}

// begun reports whether the job is the last one that has begun the output, and hasn't ended it.
func (o *Output) begun(ctx context.Context) (bool, error) {
	by, err := o.bucket.Read(ctx, path.Join(o.dir, startedName), 1<<10)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return string(by) == o.nonce, err
}

// end removes the mark of an output that is begun, if it is the job's.
func (o *Output) end(ctx context.Context) error {
	mine, err := o.begun(ctx)
	if err != nil || !mine {
		return err
	}
	return o.bucket.Remove(ctx, path.Join(o.dir, startedName))
}
