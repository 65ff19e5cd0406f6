package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCommandLines(t *testing.T) {
	for args, c := range map[string]struct {
		code           int
		stdout, stderr string
	}{
		"":                        {2, "", "engine-bench: wrong use: name a workload; see --help\n"},
		"--help":                  {0, "Usage: engine-bench WORKLOAD", ""},
		"walk":                    {2, "", "engine-bench: wrong use: unknown workload \"walk\"; see --help\n"},
		"--version":               {0, "engine-bench: ", ""},
		"cuont":                   {2, "", "engine-bench: wrong use: unknown workload \"cuont\" (did you mean count?); see --help\n"},
		"count --recrods 5":       {2, "", "engine-bench: wrong use: unknown flag --recrods; did you mean --records? See --help\n"},
		"count --help":            {0, "engine-bench count: read", ""},
		"count --nope":            {2, "", "engine-bench: wrong use: unknown flag --nope; see --help\n"},
		"latency --rate 0":        {2, "", "engine-bench: wrong use: --rate, --partitions and --for are above 0, and a record has 8 bytes at least; see --help\n"},
		"realtime --rate 0":       {2, "", "engine-bench: wrong use: --rate, --partitions, --for and --rounds are above 0, and a record has 8 bytes at least; see --help\n"},
		"realtime --queries walk": {2, "", "engine-bench: wrong use: --queries: there is no query \"walk\"; there are stateless, deduplication, window and state; see --help\n"},
		"realtime --java maybe":   {2, "", "engine-bench: wrong use: invalid value \"maybe\" for flag --java: it is auto, yes or no; see --help\n"},
		"compare --work walk":     {2, "", "engine-bench: wrong use: --work: there is no \"walk\"; there are count, wordcount and copy; see --help\n"},
		"compare --rates 5,no":    {2, "", "engine-bench: wrong use: --rates: \"no\" is no number above 0; see --help\n"},
		"compare --rounds 0":      {2, "", "engine-bench: wrong use: --records, --rounds and --for are above 0; see --help\n"},
		"compare --write main.go": {1, "", "engine-bench: main.go: the table goes between two lines, each of which must be there once, in this order: <!-- engine-bench compare writes this --> and <!-- to here -->\n"},
		"realtime --help":         {0, "engine-bench realtime: Spark's", ""},
		"count 5":                 {2, "", "engine-bench: wrong use: unexpected \"5\"; see --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &stdout, &stderr)
		if code != c.code || !strings.HasPrefix(stdout.String(), c.stdout) || stderr.String() != c.stderr || c.stdout == "" && stdout.Len() > 0 {
			t.Errorf("%q: exit code %d\n%s%s", args, code, &stdout, &stderr)
		}
	}
}

// The help lists what is for people, with its defaults, and not what the benchmark tells
// processes of its own.
func TestHelp(t *testing.T) {
	for workload, hidden := range map[string]string{"paper": "--job", "failover": "--result", "mnist": "--result", "overhead": "--result", "latency": "--job"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{workload, "--help"}, &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit code %d, %s", workload, code, &stderr)
		}
		if help := stdout.String(); strings.Contains(help, hidden) || strings.Contains(help, internal) || !strings.Contains(help, "--json") {
			t.Errorf("%s lists %s, or lacks --json:\n%s", workload, hidden, help)
		}
		if workload == "paper" && !strings.Contains(stdout.String(), "(default 500000)") {
			t.Errorf("a default is missing in\n%s", &stdout)
		}
	}
}
