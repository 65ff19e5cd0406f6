package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// twinFlags say where the workloads' twins for the JVM are, and whether they run.
type twinFlags struct{ when, dir string }

func newTwinFlags(f *flag.FlagSet) *twinFlags {
	t := &twinFlags{when: "auto"}
	f.Func("java", "`when` to measure what runs on the JVM: auto (where there are Java and Maven), yes or no (default auto)", func(s string) error {
		if s != "auto" && s != "yes" && s != "no" {
			return errors.New("it is auto, yes or no")
		}
		t.when = s
		return nil
	})
	f.StringVar(&t.dir, "bench", "", "`directory` with the programs for the JVM (default bench of the repository, beside this program or here)")
	return t
}

// twin is a program for the JVM that does what a workload does.
type twin struct {
	name, run string // run is its script
}

// errNeedsBrokers: Java's clients ask the embedded broker for what it answers in part only.
var errNeedsBrokers = errors.New("it needs a real Kafka: give --brokers (deploy/kafka/kafka start DIR starts one)")

// find finds and builds a twin that runs on the brokers which are given. There is none where
// it says why, in words.
func (t *twinFlags) find(ctx context.Context, name, brokers string) (_ *twin, none string, err error) {
	if t.when == "no" {
		return nil, name + ": --java no", nil
	}
	w, err := t.look(name)
	if err == nil && brokers == "" {
		err = fmt.Errorf("%s: %w", name, errNeedsBrokers)
	}
	if err == nil {
		err = w.build(ctx)
	}
	switch {
	case err == nil:
		return w, "", nil
	case t.when == "yes" || ctx.Err() != nil:
		return nil, "", err
	}
	fmt.Fprintln(os.Stderr, "left out:", err)
	return nil, err.Error(), nil
}

// look looks for a twin and what it needs.
func (t *twinFlags) look(name string) (*twin, error) {
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s needs %s on the PATH (on Debian: apt-get install openjdk-17-jdk-headless maven)", name, tool)
		}
	}
	run, err := t.script(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &twin{name, run}, nil
}

// script returns the script that runs a twin.
func (t *twinFlags) script(name string) (string, error) {
	if t.dir == "" {
		return inRepository(filepath.Join("bench", name, "run"))
	}
	run, err := filepath.Abs(filepath.Join(t.dir, name, "run"))
	if err != nil {
		return "", err
	}
	_, err = os.Stat(run)
	return run, err
}

// build builds the twin unless that is done.
func (w *twin) build(ctx context.Context) error {
	if exec.CommandContext(ctx, w.run, "built").Run() == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "building %s with Maven; the first time that fetches some hundred MB\n", w.name)
	cmd := exec.CommandContext(ctx, w.run, "build")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s (%s build): %w", w.name, w.run, err)
	}
	return nil
}

// copies returns what starts the twin as a job that copies, and keeps its files below a
// directory.
func (w *twin) copies(l *latency, dir string) starter {
	return func(ctx context.Context, topic string) (*child, error) {
		return w.start(ctx, "copy", "--brokers", l.brokers, "--topic", topic, "--partitions", strconv.Itoa(l.partitions), "--dir", filepath.Join(dir, topic))
	}
}

// start starts the twin. What it says on standard error is told if it fails.
func (w *twin) start(ctx context.Context, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, w.run, args...)
	said := new(tail)
	cmd.Stderr = said
	p, err := startChild(w.name+" "+args[0], cmd)
	if err != nil {
		return nil, err
	}
	wait := p.wait
	p.wait = sync.OnceValue(func() error {
		if err := wait(); err != nil {
			return fmt.Errorf("%w\n%s", err, said)
		}
		return nil
	})
	return p, nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	const limit = 4 << 10
	t.text = append(t.text, p...)
	if n := len(t.text); n > 2*limit {
		t.text = append(t.text[:0], t.text[n-limit:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.text) }
