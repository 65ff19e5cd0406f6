package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Exit codes.
const (
	exitOK          = 0   // the job finished; what was asked for was done
	exitFailed      = 1   // the job failed or was killed; what was asked for was refused
	exitUsage       = 2   // the command line is wrong
	exitUnknown     = 3   // the cluster can't be reached; what became of the job isn't known
	exitInterrupted = 130 // Ctrl-C
	exitTerminated  = 143 // SIGTERM
)

// process is what the command has of its surroundings.
type process struct {
	stdout, stderr io.Writer
	signals        <-chan os.Signal
	width          func() int // of the terminal behind stderr; 0 if there is none
}

// say writes a line for people.
func (p *process) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, "engine-submit: "+format+"\n", args...)
}

// command is what engine-submit can do beside submitting.
type command struct {
	name, args, about string
	examples          []string
	// run adds its flags to f and does it; conn has the values of flags given
	// before the command's name.
	run func(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error
}

// commands lists what there is, in the order of the help.
func commands() []command {
	return []command{listCommand(), statusCommand(), logsCommand(), killCommand(), planCommand(), stateCommand(), offsetsCommand(), forgetCommand(), modelCommand(), clusterCommand(), executorCommand(), certsCommand(), helpCommand()}
}

// submitName is how what needs no name is called where commands are.
const submitName = "submit"

// errUsage is a wrong command line.
var errUsage = errors.New("wrong use")

// exitError ends the process with a code of its own. What is to be said was said.
type exitError int

// Error says the code.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run does what the command line asks for and returns the exit code.
func run(p *process, args []string) int {
	err := dispatch(p, args)
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		p.say("%v", err)
		return exitUsage
	}
	p.say("%v", err)
	if wire.Transient(err) {
		return exitUnknown
	}
	return exitFailed
}

// dispatch finds out what is asked for. Flags may stand before the name of a
// command as well as after it.
func dispatch(p *process, args []string) error {
	var conn connection
	if len(args) > 0 {
		if c := find(args[0]); c != nil {
			return invoke(p, *c, conn, args[1:])
		}
	}
	s := newSubmission(p, &conn)
	if len(args) > 0 && args[0] == submitName {
		args = args[1:]
	}
	if err := parse(s.flags, args); err != nil {
		if _, unknown := errors.AsType[*cli.UnknownFlagError](err); unknown {
			return fmt.Errorf("%w; the program's own flags stand behind it: engine-submit PROGRAM -- FLAG …", err)
		}
		return err
	}
	rest := s.flags.Args()
	if len(rest) == 0 {
		return fmt.Errorf("%w: name a program to submit, or one of %s; see --help", errUsage, strings.Join(names(), ", "))
	}
	switch c := find(rest[0]); {
	case c != nil:
		return invoke(p, *c, conn, rest[1:])
	case rest[0] == submitName && len(rest) > 1:
		return fmt.Errorf("%w: submit stands first: engine-submit submit [flags] PROGRAM", errUsage)
	}
	return s.run(rest)
}

// find returns the command of a name, nil if there is none.
func find(name string) *command {
	all := commands()
	if i := slices.IndexFunc(all, func(c command) bool { return c.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// names returns the names of the commands beside submit.
func names() (all []string) {
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return all
}

// invoke runs a command until it ends or a signal comes.
func invoke(p *process, c command, conn connection, args []string) error {
	ctx, release := interruptible(p)
	defer release()
	f := flag.NewFlagSet("engine-submit "+c.name, flag.ContinueOnError)
	f.SetOutput(p.stdout)
	f.Usage = func() {
		fmt.Fprintf(p.stdout, "Usage: engine-submit %s [flags] %s\n\n%s\n\nExamples:\n", c.name, c.args, c.about)
		for _, e := range c.examples {
			fmt.Fprintf(p.stdout, "  engine-submit %s\n", e)
		}
		fmt.Fprintln(p.stdout, "\nFlags:")
		cli.PrintFlags(p.stdout, f)
	}
	return c.run(ctx, p, f, conn, args)
}

// codeOf returns what the process exits with for a signal.
func codeOf(s os.Signal) exitError {
	if s == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// parse parses a command line; what is wrong is said once, by run.
func parse(f *flag.FlagSet, args []string) error {
	usage, out := f.Usage, f.Output()
	err := cli.Parse(f, args, out, func(io.Writer) { usage() })
	f.Usage = usage
	f.SetOutput(out)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return fmt.Errorf("%w: %w%s", errUsage, err, cli.SeeHelp(err, "--help"))
	}
	return err
}

// parseMixed parses a command line in which flags may follow other arguments,
// and returns those. There must be as many as there are names.
func parseMixed(f *flag.FlagSet, args []string, names ...string) ([]string, error) {
	others, err := parseAll(f, args)
	if err == nil {
		err = expect(others, names...)
	}
	return others, err
}

// parseAll parses a command line in which flags may follow other arguments, and
// returns those.
func parseAll(f *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := parse(f, args); err != nil {
			return nil, err
		}
		if args = f.Args(); len(args) == 0 {
			return others, nil
		}
		others, args = append(others, args[0]), args[1:]
	}
}

// expect makes sure that there are as many arguments as there are names.
func expect(args []string, names ...string) error {
	switch {
	case len(args) < len(names):
		return fmt.Errorf("%w: %s is missing; see --help", errUsage, names[len(args)])
	case len(args) > len(names):
		return fmt.Errorf("%w: unexpected argument %q; see --help", errUsage, args[len(names)])
	}
	return nil
}

// parseJob parses a command line with a job and nothing else, and returns how it
// is called there, see client.Find.
func parseJob(f *flag.FlagSet, args []string) (string, error) {
	others, err := parseMixed(f, args, "JOB")
	if err != nil {
		return "", err
	}
	return others[0], nil
}
