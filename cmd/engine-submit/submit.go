package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

// submission is the command line that submits a program.
type submission struct {
	p        *process
	line     *cli.StatusLine
	conn     *connection
	flags    *flag.FlagSet
	detach   bool
	name, id string
	secrets  []secretFile
	restart  wire.Restart
	maxSlots int    // 0 for any number
	resume   string // the job, "" for none
	loss     bool
}

func newSubmission(p *process, conn *connection) *submission {
	line := cli.NewStatusLine(p.stderr, p.width)
	shown := *p
	shown.stderr = line
	s := &submission{p: &shown, line: line, conn: conn, flags: flag.NewFlagSet("engine-submit", flag.ContinueOnError)}
	s.flags.SetOutput(p.stdout)
	s.flags.BoolVar(&s.detach, "detach", false, "print the job's number and don't wait for its end")
	s.flags.StringVar(&s.name, "name", "", "the job's `name`, for people (default: the program's file name)")
	s.flags.StringVar(&s.id, "submission", "", "an `id` of your own; submitting the same thing under the same id again makes no second job")
	s.flags.Func("secret", "`NAME=FILE` for the job's processes alone: the program finds what the file holds in the environment variable NAME when its build function runs; the file must be of mode 0600; may be repeated", func(pair string) error {
		secret, err := parseSecret(pair)
		s.secrets = append(s.secrets, secret)
		return err
	})
	s.flags.Func("restart", "`policy` for a job that fails: never, on-failure, or on-failure:N for N times in a row at most; it goes on from its log, after 1s that double each time up to 1m (default: never)", func(policy string) (err error) {
		s.restart, err = wire.ParseRestart(policy)
		return err
	})
	s.flags.Func("max-slots", "how many `slots` the job has at once at most, of all executors (default: its share of all that there are)", func(n string) (err error) {
		if s.maxSlots, err = strconv.Atoi(n); err != nil || s.maxSlots < 1 {
			return fmt.Errorf("it takes a number from 1 on")
		}
		return nil
	})
	s.flags.StringVar(&s.resume, "resume", "", "the `job`, which has ended, from whose state and offsets the new one goes on; engine-submit plan says what would be kept")
	s.flags.BoolVar(&s.loss, "allow-non-restored-state", false, "with --resume: drop inputs and states that the program doesn't have")
	conn.addTo(s.flags)
	cli.AddVersion(s.flags)
	s.flags.Usage = s.usage
	return s
}

// usage prints the help.
func (s *submission) usage() {
	w := s.p.stdout
	fmt.Fprint(w, `Usage: engine-submit [submit] [flags] PROGRAM [-- ARG …]
       engine-submit COMMAND [flags] …

Submits a program to a cluster and shows its progress until the job ends. The
first Ctrl-C asks the job to finish what is planned, the second leaves it to
itself. The exit code is 0 if the job finished, 1 if it failed or was killed, 2
for a wrong command line, 3 if the cluster can't be reached, 130 after the second
Ctrl-C.

What stands behind PROGRAM is the program's, with and without --, also a flag that has the
name of one of engine-submit's: these stand before PROGRAM.

Examples:
  engine-submit --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079 ./mnist-stream -- --brokers 127.0.0.1:9092
  engine-submit --secret KAFKA_PASSWORD=$HOME/kafka-password ./orders -- --brokers kafka1:9093
  engine-submit submit --resume orders ./orders-2 -- --brokers kafka1:9093
  JOB=$(engine-submit --detach --restart on-failure:5 --submission nightly-2026-11-23 ./report -- --day yesterday)

Commands (each has a --help):
`)
	for _, c := range commands() {
		about, _, _ := strings.Cut(c.about, ".")
		fmt.Fprintf(w, "  %-8s %s\n", c.name, strings.ReplaceAll(about, "\n", " "))
	}
	fmt.Fprint(w, "\nFlags:\n")
	cli.PrintFlags(w, s.flags)
}

// run submits the program that stands first, with what follows as its arguments.
func (s *submission) run(rest []string) error {
	program, args := rest[0], rest[1:]
	if i := slices.Index(args, "--"); i == 0 {
		args = args[1:]
	} else if i > 0 && strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("%w: flags of engine-submit stand before the program: engine-submit %s %s -- …", errUsage, strings.Join(args[:i], " "), program)
	}
	if len(args) == 1 && slices.Contains([]string{"h", "help", "version"}, flagName(args[0])) {
		return fmt.Errorf("%w: a job doesn't print that; run the program by itself: %s %s", errUsage, program, args[0])
	}
	info, err := os.Stat(program)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsRune(program, filepath.Separator):
		return fmt.Errorf("%w: there is no command %q and no program of that name here%s; the commands are %s; see --help", errUsage,
			program, cli.DidYouMean(program, append(names(), submitName)), strings.Join(names(), ", "))
	case err == nil && info.IsDir():
		return fmt.Errorf("%w: %s is a directory, not a program; build it first: CGO_ENABLED=0 go build -o ./program %s", errUsage, program, program)
	}
	if err := s.misplacedMaster(program, args); err != nil {
		return err
	}
	if s.id == "" {
		s.id = client.NewID()
	} else if err := wire.CheckSubmission(s.id); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if s.loss && s.resume == "" {
		return fmt.Errorf("%w: --allow-non-restored-state goes with --resume", errUsage)
	}
	secrets, err := readSecrets(s.secrets)
	if err != nil {
		return err
	}
	return s.conn.connect(s.p, func(c *client.Client) error {
		d := newDisplay(s.p, s.line)
		resume, err := s.before(c)
		if err != nil {
			return err
		}
		job, err := s.upload(c, d, client.Submission{
			ID: s.id, Name: s.name, Binary: program, Args: args, Secrets: secrets, Restart: s.restart, MaxSlots: s.maxSlots, Resume: resume, AllowLoss: s.loss,
		})
		s.line.Set("")
		switch {
		case err != nil:
			return err
		case job.Existed:
			s.p.say("submission %s was taken before, as job %d, which stays as it was submitted then", job.Submission, job.Incarnation)
		case resume != 0:
			s.p.say("submitted %s as job %d, which goes on from job %d", program, job.Incarnation, resume)
		default:
			s.p.say("submitted %s as job %d", program, job.Incarnation)
		}
		if s.detach {
			_, err := fmt.Fprintln(s.p.stdout, job.Incarnation)
			return err
		}
		return s.follow(c, d, wire.JobRef{Incarnation: job.Incarnation}, program, args)
	})
}

// before returns the number of the job that is to be resumed, 0 for none.
func (s *submission) before(c *client.Client) (uint64, error) {
	if s.resume == "" {
		return 0, nil
	}
	ctx, release := interruptible(s.p)
	defer release()
	if taken, err := s.takenBefore(ctx, c); taken != 0 || err != nil {
		return taken, err
	}
	job, err := c.Find(ctx, s.resume)
	return job.Incarnation, err
}

// takenBefore returns the number of the job that --resume meant when the submission was
// taken before: the name means the submission's own job now. It is 0 if it wasn't taken, or
// resumes something else.
func (s *submission) takenBefore(ctx context.Context, c *client.Client) (uint64, error) {
	st, err := c.Status(ctx, wire.JobRef{Submission: s.id})
	if errors.Is(err, wire.ErrNoJob) {
		return 0, nil
	}
	if err != nil || st.Spec.Resume == 0 {
		return 0, err
	}
	resumed := st.Spec.Resume
	old, err := c.Status(ctx, wire.JobRef{Incarnation: resumed})
	switch {
	case s.resume == strconv.FormatUint(resumed, 10), errors.Is(err, wire.ErrNoJob): // it isn't listed for ever
		return resumed, nil
	case err != nil:
		return 0, err
	case s.resume == old.Spec.Name, s.resume == old.Spec.Submission:
		return resumed, nil
	}
	return 0, nil
}

// upload submits the program; a signal ends it.
func (s *submission) upload(c *client.Client, d *display, what client.Submission) (client.Job, error) {
	ctx, release := interruptible(s.p)
	defer release()
	name := filepath.Base(what.Binary)
	what.Uploaded = func(sent, total int64) { d.uploading(name, sent, total) }
	job, err := c.Submit(ctx, what)
	if ctx.Err() != nil && err != nil {
		s.line.Set("")
		s.p.say("interrupted while submitting; engine-submit status %s says whether there is a job", s.id)
	}
	return job, err
}

// follow shows the progress of a program's job until it has ended.
func (s *submission) follow(c *client.Client, d *display, job wire.JobRef, program string, args []string) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.takeSignals(c, job, cancel, ended) })
	st, err := c.Watch(ctx, job, d.update)
	close(ended)
	watching.Wait()
	cancel(nil)
	s.line.Set("")
	if code, ok := errors.AsType[exitError](err); ok {
		s.p.say("job %d is left to itself; engine-submit status %d asks for it", job.Incarnation, job.Incarnation)
		return code
	}
	if err != nil {
		return fmt.Errorf("%w\nwhat became of job %d isn't known; as soon as most of the engine-drivers are up it goes on, and engine-submit status %d asks for it", err, job.Incarnation, job.Incarnation)
	}
	if st.Reason != "" && st.State != wire.JobFinished {
		s.p.say("job %d %s: %s", job.Incarnation, st.State, strings.TrimSpace(st.Reason))
		if hint := misplacedFlag(s.flags, program, args, st.Reason); hint != "" {
			s.p.say("%s", hint)
		}
	}
	if _, err := fmt.Fprintln(s.p.stdout, d.summary(st)); err != nil {
		return err
	}
	s.p.say("engine-submit logs %d prints what the program wrote", job.Incarnation)
	return outcome(st)
}

// takeSignals stops the job on the first interrupt and the watch on the second.
func (s *submission) takeSignals(c *client.Client, job wire.JobRef, cancel context.CancelCauseFunc, ended <-chan struct{}) {
	ctx, giveUp := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer giveUp()
	for asked := false; ; asked = true {
		var sig os.Signal
		select {
		case sig = <-s.p.signals:
		case <-ended:
			return
		}
		if asked || sig == syscall.SIGTERM {
			cancel(codeOf(sig))
			return
		}
		s.p.say("stopping job %d: what is planned is done first; Ctrl-C again leaves it to itself", job.Incarnation)
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, stopPatience)
			defer cancel()
			if _, err := c.Kill(ctx, job, true); err != nil && ctx.Err() == nil {
				s.p.say("job %d wasn't asked to stop: %v", job.Incarnation, err)
			}
		})
	}
}

// stopPatience bounds how long asking a job to stop goes on.
const stopPatience = time.Minute

// interruptible returns a context that a signal ends; its cause is the exit code.
func interruptible(p *process) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case s := <-p.signals:
			cancel(codeOf(s))
		case <-done:
		}
	})
	return ctx, func() {
		close(done)
		watching.Wait()
		cancel(nil)
	}
}
