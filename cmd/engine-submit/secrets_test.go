package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A secret comes from a file that only its owner may read, and isn't printed.
func TestSecrets(t *testing.T) {
	drivers := cluster(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open, empty := write("good", "hunter2\n", 0o600), write("open", "hunter2\n", 0o640), write("empty", "\n", 0o600)
	for _, x := range []struct {
		flag string
		code int
		says string
	}{
		{"PASSWORD=" + open, exitFailed, "mode 0640, so that others may read it; run chmod 600 on it"},
		{"PASSWORD=" + filepath.Join(dir, "missing"), exitFailed, "reading the secret PASSWORD: "},
		{"PASSWORD=" + empty, exitUsage, "secret PASSWORD is empty"},
		{"PASSWORD", exitUsage, "it is not NAME=FILE"},
		{"PASS WORD=" + good, exitUsage, "its name is a variable's"},
	} {
		s := around(0)
		if code := run(&s.process, []string{"--detach", "--secret", x.flag, program(t)}); code != x.code || !strings.Contains(s.err.String(), x.says) {
			t.Errorf("--secret %s: exit code %d, want %d and %q:\n%s", x.flag, code, x.code, x.says, s.err.String())
		}
	}
	s := around(0)
	if code := run(&s.process, []string{"--detach", "--secret", "PASSWORD=" + good, program(t)}); code != exitOK {
		t.Fatalf("exit code %d:\n%s", code, s.err.String())
	}
	st, _ := drivers.Job(firstJob)
	if want := []wire.Secret{{Name: "PASSWORD", Value: "hunter2"}}; !slices.Equal(st.Spec.Secrets, want) {
		t.Errorf("the job has %d secrets, not that of the file", len(st.Spec.Secrets))
	}
}
