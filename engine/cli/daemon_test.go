package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// What is wrong with a daemon is said once, in a line with its name.
func TestDaemon(t *testing.T) {
	t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	peers, broken := errors.New("odd peers"), errors.New("broken")
	for _, c := range []struct {
		args string
		runs error
		code int
		out  string
	}{
		{"--id a --data d", nil, ExitOK, ""},
		{"--id a --data d --log-level debug", nil, ExitOK, "level=DEBUG msg=runs\n"},
		{"--id a --data d", broken, ExitFailed, "test-daemon: broken\n"},
		{"--id a --data d", fmt.Errorf("no: %w", peers), ExitUsage, "test-daemon: no: odd peers\n"},
		{"--id a --data d", wire.Misuse("0 slots"), ExitUsage, "test-daemon: 0 slots\n"},
		{"--id a", nil, ExitUsage, "test-daemon: wrong use; see --help: --data is missing\n"},
		{"", nil, ExitUsage, "test-daemon: wrong use; see --help: --id is missing\n"},
		{"--id a --data d e", nil, ExitUsage, `test-daemon: wrong use; see --help: it takes no argument "e"` + "\n"},
		{"--nope", nil, ExitUsage, "test-daemon: wrong use; see --help: unknown flag --nope\n"},
		{"--id a --dat d", nil, ExitUsage, "test-daemon: wrong use; see --help: unknown flag --dat; did you mean --data?\n"},
		{"--id a --data", nil, ExitUsage, "test-daemon: wrong use; see --help: --data needs a value"},
		{"--id a --data d --log-level loud", nil, ExitUsage, "test-daemon: wrong use; see --help: invalid value \"loud\" for flag --log-level"},
		{"--id a --data d --pass-env A --pass-env B", nil, ExitOK, ""},
		{"--id a --data d --pass-env A=b", nil, ExitUsage, `"A=b" is no name of an environment variable`},
		{"--id a --data d --tls-ca ca.pem", nil, ExitUsage, "test-daemon: "},
		{"help me", nil, ExitUsage, `it takes no argument "help"`},
	} {
		var out strings.Builder
		d := NewDaemon("test-daemon", "Usage: test-daemon\n\nFlags:\n", t.Output(), &out)
		d.Flags.String("id", "", "`name`")
		d.Flags.String("data", "", "`directory`")
		err := d.Parse(strings.Fields(c.args), "id", "data")
		if err == nil {
			_, err = d.Security()
		}
		if err == nil {
			d.Log().Debug("runs")
			err = c.runs
		}
		code := d.Code(err, peers)
		if code != c.code || !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.args, code, c.code, c.out, &out)
		}
		if code != ExitOK && strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: it said\n%s", c.args, &out)
		}
	}
}

// What is asked for goes to standard output, and is no failure.
func TestDaemonHelp(t *testing.T) {
	for args, want := range map[string]string{
		"--help":           "Usage: test-daemon\n\nFlags:\n  --data directory\n",
		"-h":               "Usage: test-daemon\n",
		"help":             "Usage: test-daemon\n",
		"--version":        "test-daemon: ",
		"--version --data": "", // which lacks its value
	} {
		var out, problems strings.Builder
		d := NewDaemon("test-daemon", "Usage: test-daemon\n\nFlags:\n", &out, &problems)
		d.Flags.String("data", "", "`directory`")
		code := d.Code(d.Parse(strings.Fields(args), "data"))
		if want == "" && code != ExitUsage || want != "" && (code != ExitOK || problems.Len() > 0) || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: exit code %d, on standard output\n%s, on standard error\n%s", args, code, &out, &problems)
		}
	}
}
