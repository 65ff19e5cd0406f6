package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// asProgram is a variable of the environment that makes this program be engine-bench, for
// workloads that start processes of it.
const asProgram = "ENGINE_BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommandLines(t *testing.T) {
	for args, c := range map[string]struct {
		code           int
		stdout, stderr string
	}{
		"":                                      {2, "", "engine-bench: wrong use: name a workload; see --help\n"},
		"--help":                                {0, "Usage: engine-bench WORKLOAD", ""},
		"walk":                                  {2, "", "engine-bench: wrong use: unknown workload \"walk\"; see --help\n"},
		"--version":                             {0, "engine-bench: ", ""},
		"cuont":                                 {2, "", "engine-bench: wrong use: unknown workload \"cuont\" (did you mean count?); see --help\n"},
		"count --recrods 5":                     {2, "", "engine-bench: wrong use: unknown flag --recrods; did you mean --records? See --help\n"},
		"count --help":                          {0, "engine-bench count: read", ""},
		"count --records 0":                     {2, "", "engine-bench: wrong use: --records is above 0; see --help\n"},
		"count --records -5":                    {2, "", "engine-bench: wrong use: --records is above 0; see --help\n"},
		"count --rounds 0":                      {2, "", "engine-bench: wrong use: --rounds is above 0; see --help\n"},
		"count --interval 0s":                   {2, "", "engine-bench: wrong use: --interval is above 0; see --help\n"},
		"wordcount --partitions 0":              {2, "", "engine-bench: wrong use: --partitions is above 0; see --help\n"},
		"fold --keys 0":                         {2, "", "engine-bench: wrong use: --keys is above 0; see --help\n"},
		"fold --rounds 0":                       {2, "", "engine-bench: wrong use: --rounds is above 0; see --help\n"},
		"latency --rounds 0":                    {2, "", "engine-bench: wrong use: --rounds is above 0; see --help\n"},
		"sort --records 0":                      {2, "", "engine-bench: wrong use: --records is above 0; see --help\n"},
		"join --partitions 0":                   {2, "", "engine-bench: wrong use: --partitions is above 0; see --help\n"},
		"group --records -1":                    {2, "", "engine-bench: wrong use: --records is above 0; see --help\n"},
		"pagerank --rounds 0":                   {2, "", "engine-bench: wrong use: --rounds is above 0; see --help\n"},
		"kmeans --iterations 0":                 {2, "", "engine-bench: wrong use: --iterations is above 0; see --help\n"},
		"kmeans --k 0":                          {2, "", "engine-bench: wrong use: --k is above 0; see --help\n"},
		"mnist --images 0":                      {2, "", "engine-bench: wrong use: --images is above 0; see --help\n"},
		"overhead --batches 0":                  {2, "", "engine-bench: wrong use: --batches is above 0; see --help\n"},
		"failover --kills 0":                    {2, "", "engine-bench: wrong use: --kills is above 0; see --help\n"},
		"count --record-bytes 0":                {2, "", "engine-bench: wrong use: --record-bytes is from 1 to 1000000; see --help\n"},
		"count --nope":                          {2, "", "engine-bench: wrong use: unknown flag --nope; see --help\n"},
		"latency --rate 0":                      {2, "", "engine-bench: wrong use: --rate, --partitions and --for are above 0, and a record has 8 bytes at least; see --help\n"},
		"latency --master cluster --checkpoint": {2, "", "engine-bench: wrong use: --checkpoint: on a cluster the batch log is on its drivers' disks anyway; see --help\n"},
		"realtime --rate 0":                     {2, "", "engine-bench: wrong use: --rate, --partitions, --for and --rounds are above 0, and a record has 8 bytes at least; see --help\n"},
		"realtime --queries walk":               {2, "", "engine-bench: wrong use: --queries: there is no query \"walk\"; there are stateless, deduplication, window and state; see --help\n"},
		"realtime --java maybe":                 {2, "", "engine-bench: wrong use: invalid value \"maybe\" for flag --java: it is auto, yes or no; see --help\n"},
		"compare --work walk":                   {2, "", "engine-bench: wrong use: --work: there is no \"walk\"; there are count, wordcount and copy; see --help\n"},
		"compare --rates 5,no":                  {2, "", "engine-bench: wrong use: --rates: \"no\" is no number above 0; see --help\n"},
		"compare --rounds 0":                    {2, "", "engine-bench: wrong use: --records, --rounds and --for are above 0; see --help\n"},
		"compare --write main.go":               {1, "", "engine-bench: main.go: the table goes between two lines, each of which must be there once, in this order: <!-- engine-bench compare writes this --> and <!-- to here -->\n"},
		"realtime --help":                       {0, "engine-bench realtime: Spark's", ""},
		"count 5":                               {2, "", "engine-bench: wrong use: unexpected \"5\"; see --help\n"},
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
	hidden := map[string][]string{
		"paper": {"--job"}, "failover": {"--result"}, "mnist": {"--result", "--weights"}, "overhead": {"--result"},
		"latency": {"--job", "--topic", "--dir"}, "realtime": {"--job", "--topic", "--dir"},
	}
	for _, w := range workloads() {
		workload := w.name
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{workload, "--help"}, &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit code %d, %s", workload, code, &stderr)
		}
		help := stdout.String()
		if strings.Contains(help, internal) || !strings.Contains(help, "--json") || !strings.Contains(help, "Example:\n  engine-bench "+workload) {
			t.Errorf("%s lists what is internal, or lacks --json or an example:\n%s", workload, help)
		}
		for _, name := range hidden[workload] {
			if strings.Contains(help, "\n  "+name) {
				t.Errorf("%s lists %s:\n%s", workload, name, help)
			}
		}
		if workload == "paper" && !strings.Contains(stdout.String(), "(default 500000)") {
			t.Errorf("a default is missing in\n%s", &stdout)
		}
	}
}

// The example of each workload's help is a command line that the workload takes: its flags are
// parsed, and what it measures begins, which an interrupt ends at once.
func TestExamples(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, w := range workloads() {
		args := strings.Fields(w.example)
		if strings.ContainsAny(w.example, "'\"[]*$") {
			t.Errorf("%s: a shell changes %q", w.name, w.example)
		}
		if _, err := runWorkload(t, w.name, append(slices.Clone(args), "--help")...); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", w.exampleLine(), err)
		}
		if w.name == "broker" || w.name == "tasks" { // they wait for input, and start processes
			continue
		}
		f := flag.NewFlagSet(w.name, flag.ContinueOnError)
		f.SetOutput(io.Discard)
		ended := make(chan error, 1)
		go func() {
			_, err := w.run(interrupted, f, args)
			ended <- err
		}()
		select {
		case err := <-ended:
			if err == nil || errors.Is(err, errUsage) {
				t.Errorf("%s: %v", w.exampleLine(), err)
			}
		case <-time.After(time.Minute): // it is far less, but for a slow machine's
			t.Fatalf("%s: an interrupt doesn't end it", w.exampleLine())
		}
	}
}

// An interrupt is told in one word, whatever the workload was at.
func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, workload := range []string{"inference", "count", "latency"} {
		var stdout, stderr bytes.Buffer
		if code := run(ctx, []string{workload, "--json"}, &stdout, &stderr); code != 1 || !strings.HasPrefix(stderr.String(), "engine-bench: interrupted") || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d\n%s", workload, code, &stderr)
		}
	}
}
