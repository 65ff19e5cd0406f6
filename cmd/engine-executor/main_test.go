package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is wrong with a command line is said once, in one line.
func TestCommandLines(t *testing.T) {
	for args, c := range map[string]struct {
		code   int
		stderr string
	}{
		"":              {2, "engine-executor: --id, --master and --data are needed; run engine-executor --help for an example\n"},
		"--nope":        {2, "engine-executor: flag provided but not defined: -nope; run engine-executor --help\n"},
		"--slots many":  {2, "engine-executor: invalid value \"many\" for flag -slots: parse error; run engine-executor --help\n"},
		"--id e1 here":  {2, "engine-executor: \"here\" is not a flag; run engine-executor --help\n"},
		"--help":        {0, "Usage: engine-executor --id NAME"},
		"--id e1 -help": {0, "Usage: engine-executor --id NAME"},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &stderr)
		if code != c.code || !strings.HasPrefix(stderr.String(), c.stderr) || code == 2 && stderr.String() != c.stderr {
			t.Errorf("%q: exit code %d\n%s", args, code, &stderr)
		}
	}
}
