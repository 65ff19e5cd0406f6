package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

// What a job has recorded only its program can read. It is run here, by itself, for as
// long as that takes: none of its batches runs.

// runHere runs a program on this machine.
func runHere(ctx context.Context, p *process, program string, args ...string) error {
	path, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() > 0 { // it has said why
			return exitError(exit.ExitCode())
		}
		return fmt.Errorf("running %s: %w", program, err)
	}
	if err != nil {
		return fmt.Errorf("running %s on this machine: %w", program, err)
	}
	return nil
}

// withLog runs a program on the log of a job.
func withLog(ctx context.Context, p *process, c *client.Client, job wire.JobRef, program string, args ...string) (err error) {
	log, err := c.Log(ctx, job)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hibana-log-")
	if err != nil {
		return fmt.Errorf("making a directory for the job's log: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := dirlog.Write(dir, log, max(1, log.Last.Epoch)); err != nil {
		return err
	}
	return runHere(ctx, p, program, append([]string{"--checkpoint", dir}, args...)...)
}
