// Package cluster_test tests the script that runs a cluster on one machine.
package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs the script, with its state below home, and returns what it says.
func run(t *testing.T, home string, args ...string) string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash:", err)
	}
	cmd := exec.Command(bash, append([]string{"./cluster"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME=", "HIBANA_DRIVER_PORT=", "HIBANA_KAFKA_PORT=", "HIBANA_SLOTS=", "HIBANA_KAFKA=")
	out, _ := cmd.CombinedOutput() // status fails where nothing runs
	return string(out)
}

func TestDefaultDirectory(t *testing.T) {
	home := t.TempDir()
	want := "there is no cluster in " + filepath.Join(home, ".local/state/hibana/cluster")
	if got := run(t, home, "status"); !strings.Contains(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// What somebody else may have put into the directory isn't run.
func TestSettingsAreNotRun(t *testing.T) {
	nobody := 65534
	for name, c := range map[string]struct {
		mode     os.FileMode
		owner    int // -1: this user
		settings string
		says     string
	}{
		"settings of the script":      {0o700, -1, "kafka_port=9092 driver_port=29077 slots=2 brokers=127.0.0.1:9", "Kafka is yours, at 127.0.0.1:9"},
		"a command":                   {0o700, -1, "touch MARK", "touch"},
		"a command for a value":       {0o700, -1, "driver_port=$(touch${IFS}MARK)", "HIBANA_DRIVER_PORT"},
		"a command in an index":       {0o700, -1, "kafka_port=x[$(touch${IFS}MARK)]", "HIBANA_KAFKA_PORT"},
		"another variable":            {0o700, -1, "PATH=/tmp", "PATH=/tmp"},
		"a directory open to others":  {0o777, -1, "touch MARK", "others may write"},
		"a directory of a group":      {0o770, -1, "touch MARK", "others may write"},
		"a directory of another user": {0o755, nobody, "touch MARK", "belongs to"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir, mark := filepath.Join(root, "cluster"), filepath.Join(root, "mark")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "settings"), []byte(strings.ReplaceAll(c.settings, "MARK", mark)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
			if c.owner >= 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root gives directories away")
				}
				if err := os.Chown(dir, c.owner, c.owner); err != nil {
					t.Fatal(err)
				}
			}
			if got := run(t, root, "status", dir); !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("the command was run")
			}
		})
	}
}
