package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/cli"
)

// What stands behind the program is the program's, as with spark-submit, also what has the name
// of one of engine-submit's flags: it may have a flag of that name, too.

// misplacedMaster returns an error if nothing says where the cluster is but a --master among a
// program's arguments.
func (s *submission) misplacedMaster(program string, args []string) error {
	i := slices.IndexFunc(args, func(a string) bool { return flagName(a) == "master" })
	if i < 0 || s.conn.master != "" || os.Getenv(masterEnv) != "" {
		return nil
	}
	return fmt.Errorf("%w: %s", errUsage, standsBefore(args[i], program))
}

// misplacedFlag returns what to write instead if a job has failed because its program doesn't know
// a flag among its arguments that engine-submit knows; "" otherwise.
func misplacedFlag(f *flag.FlagSet, program string, args []string, reason string) string {
	_, rest, unknown := strings.Cut(reason, cli.UnknownFlag)
	if !unknown {
		return ""
	}
	i := slices.IndexFunc(args, func(a string) bool {
		name := flagName(a)
		behind, is := strings.CutPrefix(rest, name)
		return name != "" && is && f.Lookup(name) != nil && (behind == "" || strings.ContainsRune(";\n", rune(behind[0])))
	})
	if i < 0 {
		return ""
	}
	return standsBefore(args[i], program)
}

// flagName returns the name of the flag that an argument is, "" if it is none.
func flagName(arg string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	if name == arg {
		return ""
	}
	name, _, _ = strings.Cut(name, "=")
	return name
}

// standsBefore says where a flag of engine-submit stands.
func standsBefore(arg, program string) string {
	return fmt.Sprintf("--%s stands before the program: engine-submit %s … %s; there it is engine-submit's, behind it the program's", flagName(arg), arg, program)
}
