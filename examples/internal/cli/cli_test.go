package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
)

func TestCommandLines(t *testing.T) {
	for args, c := range map[string]struct {
		code           int
		stdout, stderr string
	}{
		"":           {0, "", ""},
		"--n 3":      {0, "", ""},
		"--help":     {0, "Usage: prog [flags]\n\nExample:\n  prog --n 7\n\nFlags:\n  --n int\n", ""},
		"-h":         {0, "Usage: prog [flags]", ""},
		"--no":       {2, "", "prog: wrong use: unknown flag --no; see prog --help\n"},
		"--n x":      {2, "", "prog: wrong use: invalid value \"x\" for flag --n: it takes a whole number; see prog --help\n"},
		"--nn 3":     {2, "", "prog: wrong use: unknown flag --nn; see prog --help\n"},
		"--version":  {0, "prog: ", ""},
		"here --n 3": {2, "", "prog: wrong use: \"here\" is not a flag; flags begin with --; see prog --help\n"},
	} {
		f := flag.NewFlagSet("prog", flag.ExitOnError)
		f.Int("n", 1, "a number")
		var stdout, stderr bytes.Buffer
		code := Code("prog", Parse(f, "prog --n 7", strings.Fields(args), &stdout), &stderr)
		if code != c.code || !strings.HasPrefix(stdout.String(), c.stdout) || stderr.String() != c.stderr || c.stdout == "" && stdout.Len() > 0 {
			t.Errorf("%q: exit code %d\n%s%s", args, code, &stdout, &stderr)
		}
	}
}

func TestFailures(t *testing.T) {
	for want, err := range map[string]error{
		"prog: the disk is full\n":                            errors.New("the disk is full"),
		"prog: wrong use: --n is negative; see prog --help\n": fmt.Errorf("%w: --n is negative", ErrUsage),
	} {
		var stderr bytes.Buffer
		if code := Code("prog", err, &stderr); stderr.String() != want || (code == 2) != errors.Is(err, ErrUsage) {
			t.Errorf("%v: exit code %d, %s", err, code, &stderr)
		}
	}
}

func TestBrokers(t *testing.T) {
	for list, want := range map[string]string{
		"a:1": "a:1", "a:1, b:2": "a:1 b:2", "[::1]:9": "[::1]:9",
		"": "", "a": "", "a:": "", ":1": "", "a:1,": "", "a:1,b": "",
	} {
		got, err := Brokers(list)
		if strings.Join(got, " ") != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
}
