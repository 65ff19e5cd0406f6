package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/hibana-engine/hibana/engine/cli"
)

func helpCommand() command {
	return command{
		name: "help", args: "[COMMAND]", about: "Prints the help of a command, as its --help does, or of engine-submit.",
		examples: []string{"help", "help kill"},
		run:      help,
	}
}

func help(_ context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	others, err := parseAll(f, args)
	if err != nil {
		return err
	}
	if len(others) > 1 {
		return expect(others, "COMMAND")
	}
	if len(others) == 0 || others[0] == submitName {
		newSubmission(p, &conn).usage()
		return nil
	}
	c := find(others[0])
	if c == nil {
		return fmt.Errorf("%w: there is no command %q%s; see --help", errUsage, others[0], cli.DidYouMean(others[0], names()))
	}
	return invoke(p, *c, conn, []string{"--help"})
}
