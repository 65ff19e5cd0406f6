package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is done beside a process ends when the process does, and its error says how that ended.
func TestChildEndsEarly(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3": "the job: exit status 3",
		"exit 0": errEnded.Error(),
	} {
		p, err := startChild("the job", exec.CommandContext(t.Context(), "sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		err = p.with(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
	}
}

// A process is told to end when what is done beside it is done.
func TestChildEnds(t *testing.T) {
	p, err := startChild("the job", exec.CommandContext(t.Context(), "cat"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.with(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestTwins(t *testing.T) {
	dir := t.TempDir()
	script(t, dir+"/bin/java", "exit 0")
	script(t, dir+"/bin/mvn", "exit 0")
	script(t, dir+"/bench/good/run", `case $1 in built) exit 0;; *) echo "$1 went wrong" >&2; exit 7;; esac`)
	script(t, dir+"/bench/broken/run", "exit 1")
	script(t, dir+"/bench/embedded/run", "exit 1")
	path := os.Getenv("PATH")
	for _, c := range []struct {
		name, when, path string
		none, err        string // what they begin with
	}{
		{"embedded", "auto", "/bin", "embedded: it needs a real Kafka", ""},
		{"embedded", "yes", "/bin", "", "embedded: it needs a real Kafka"},
		{"good", "auto", "/bin", "", ""},
		{"good", "no", "/bin", "good: --java no", ""},
		{"broken", "auto", "/bin", "building broken (", ""},
		{"broken", "yes", "/bin", "", "building broken ("},
		{"missing", "auto", "/bin", "missing: ", ""},
		{"good", "auto", "/none", "good needs java on the PATH", ""},
		{"good", "yes", "/none", "", "good needs java on the PATH"},
	} {
		t.Setenv("PATH", dir+c.path)
		if c.path == "/bin" {
			t.Setenv("PATH", dir+c.path+":"+path)
		}
		flags := &twinFlags{when: c.when, dir: dir + "/bench"}
		brokers := "a broker"
		if c.name == "embedded" {
			brokers = ""
		}
		w, none, err := flags.find(t.Context(), c.name, brokers)
		if (w == nil) != (c.none != "" || c.err != "") || !strings.HasPrefix(none, c.none) || (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%s, --java %s: %v, %q, %v", c.name, c.when, w, none, err)
		}
		if w == nil {
			continue
		}
		p, err := w.start(t.Context(), "copy")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.end(); err == nil || err.Error() != "good copy: exit status 7\ncopy went wrong\n" {
			t.Errorf("the twin's error is %v", err)
		}
	}
}
