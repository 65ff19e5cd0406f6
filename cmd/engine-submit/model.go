package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func modelCommand() command {
	return command{
		name: "model", args: "JOB NAME FILE | --rollback [--version DIGEST] JOB NAME",
		about: `Publishes a version of a model in a job that runs. The executors load and warm
FILE beside the batches; when all of them have it the batches that are planned
next use it. A file that can't be used is refused with the reason, and the version
before stays. --rollback goes back to the version before, or to the one that
--version names. The job needs a model store: --conf models.store=URL.`,
		examples: []string{"model --master 127.0.0.1:7077 12 mnist-cnn retrained.npz", "model 12 mnist-cnn --rollback"},
		run:      publishModel,
	}
}

func publishModel(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	var publication client.Publication
	rollback := f.Bool("rollback", false, "go back to an earlier version")
	f.StringVar(&publication.Version, "version", "", "with --rollback: the `digest` of the version to go back to, or its first digits (default: the one before the current)")
	conn.addTo(f)
	others, err := parseAll(f, args)
	if err != nil {
		return err
	}
	names := []string{"JOB", "NAME", "FILE"}
	if *rollback {
		names = names[:2]
	} else if publication.Version != "" {
		return fmt.Errorf("%w: --version goes with --rollback", errUsage)
	}
	if err := expect(others, names...); err != nil {
		return err
	}
	publication.Model = others[1]
	line := cli.NewStatusLine(p.stderr, p.width)
	if !*rollback {
		publication.File = others[2]
		d := newDisplay(p, line)
		publication.Uploaded = func(sent, total int64) {
			if d.uploading(filepath.Base(publication.File), sent, total); sent == total {
				line.Set("the executors load it")
			}
		}
	}
	return conn.connectTo(ctx, p, others[0], func(c *client.Client, job wire.JobRef) error {
		publication.Job = job
		digest, err := c.Publish(ctx, publication)
		line.Set("")
		if err != nil {
			if ctx.Err() != nil {
				p.say("interrupted; the version may still come in, the job's log says so")
			}
			return err
		}
		p.say("batches are planned with version %.12s of %s", digest, publication.Model)
		_, err = fmt.Fprintln(p.stdout, digest)
		return err
	})
}
