package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeScript stands for deploy/kafka/kafka: it notes what it is told. A file "dead" makes
// its brokers be gone, a file "broken" makes it fail.
const fakeScript = `#!/bin/sh
here=$(dirname "$0")
echo "$1 $4" >>"$here/told"
case $1 in
start) [ ! -e "$here/broken" ] || { echo "no Java" >&2; exit 1; }
  mkdir -p "$2/1/data"; touch "$2/1/server.log"; echo 127.0.0.1:1 ;;
status) [ ! -e "$here/dead" ] ;;
esac
`

func newFakeKafka(t *testing.T) (k *realKafka, told func() string, say func(string)) {
	t.Helper()
	dir := t.TempDir()
	k = &realKafka{script: filepath.Join(dir, "kafka"), dir: filepath.Join(t.TempDir(), "brokers")}
	if err := os.WriteFile(k.script, []byte(fakeScript), 0o700); err != nil {
		t.Fatal(err)
	}
	told = func() string {
		b, err := os.ReadFile(filepath.Join(dir, "told"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b)), " ")
	}
	say = func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return k, told, say
}

// New brokers are started after the old ones are stopped, whose data is removed.
func TestRealKafkaStarts(t *testing.T) {
	k, told, _ := newFakeKafka(t)
	for _, nodes := range []int{1, 3} {
		if addr, err := k.start(t.Context(), nodes); err != nil || addr != "127.0.0.1:1" || k.nodes != nodes {
			t.Fatal(addr, k.nodes, err)
		}
	}
	if err := k.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.dir); !errors.Is(err, os.ErrNotExist) || k.nodes != 0 {
		t.Errorf("what brokers had is left: %v; %d nodes", err, k.nodes)
	}
	if got, want := told(), "start 1 stop start 3 status stop"; got != want {
		t.Errorf("the script was told %q, want %q", got, want)
	}
}

// The log of a broker that ended by itself is kept, and its data isn't.
func TestRealKafkaDies(t *testing.T) {
	k, told, say := newFakeKafka(t)
	if _, err := k.start(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	say("dead")
	if err := k.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(k.dir, "1", "server.log")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(k.dir, "1", "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its data is left: %v", err)
	}
	before := len(strings.Fields(told()))
	if _, err := k.start(t.Context(), 3); err != nil { // that the others had ended is old
		t.Fatal(err)
	}
	if got := strings.Fields(told())[before:]; !slices.Equal(got, []string{"stop", "start", "3"}) {
		t.Errorf("the script was told %q", got)
	}
	say("broken")
	if _, err := k.start(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "starting Kafka nodes (1): ") || !strings.Contains(err.Error(), "no Java") {
		t.Errorf("error %v", err)
	}
}

func TestRealKafkaScriptIsFound(t *testing.T) {
	t.Chdir("../..")
	if k, err := findRealKafka("out"); err != nil || filepath.Base(k.script) != "kafka" || !filepath.IsAbs(k.dir) {
		t.Errorf("%+v, %v", k, err)
	}
	t.Chdir(t.TempDir())
	if _, err := findRealKafka("out"); err == nil || !strings.Contains(err.Error(), "run make build") {
		t.Errorf("error %v", err)
	}
}
