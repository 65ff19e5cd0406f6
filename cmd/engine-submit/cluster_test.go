package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// TestMain lets the test's binary be the program that is submitted.
func TestMain(m *testing.M) {
	if os.Getenv(role.Env) == "" {
		os.Exit(m.Run())
	}
	app := engine.NewApp("sums")
	batches := app.Flags().Int("batches", 1, "batches with records, after which the program stops")
	panics := app.Flags().Bool("panic", false, "panic in a task")
	asks := app.Flags().Bool("model", false, "print the version of a model of each batch")
	app.Stream(20*time.Millisecond, func(ssc *engine.StreamingContext) error {
		input := make([][]int, *batches)
		for i := range input {
			input[i] = []int{1, 2, 3, 4, 5, 6}
		}
		numbers := engine.Map(enginetest.Queue(ssc, input, 3), func(n int) rdd.Pair[int, int] {
			if *panics {
				panic("no number pleases me")
			}
			return rdd.Pair[int, int]{Key: n % 2, Value: n}
		})
		if *asks {
			printVersions(ssc)
		}
		sums := engine.ReduceByKey(numbers, func(a, b int) int { return a + b }, rdd.Partitions(2))
		engine.ForEachBatch(sums, func(b engine.Batch, _ []rdd.Pair[int, int]) error {
			if b.Seq >= uint64(*batches) {
				ssc.Logger().Info("that was the last one")
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
}

// printVersions prints the version of model m that a batch uses, when it is
// another one than before. Files that begin with "bad" make no version.
func printVersions(ssc *engine.StreamingContext) {
	m := engine.NewModel(ssc, "m", []byte("carried"), func(file []byte) (string, error) {
		if strings.HasPrefix(string(file), "bad") {
			return "", errors.New("layer fc1 holds a NaN")
		}
		return string(file), nil
	})
	ticks := enginetest.Queue(ssc, [][]int{}, 1)
	texts := engine.Derive(ticks, "versions", func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[string] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, _ iter.Seq2[int, error]) iter.Seq2[string, error] {
			tc := part.Task()
			return func(yield func(string, error) bool) { yield(m.At(tc, b)) }
		})
	})
	last := ""
	engine.ForEachBatch(texts, func(b engine.Batch, rows []string) error {
		if len(rows) == 1 && rows[0] != last {
			ssc.Logger().Info("batches use " + rows[0] + " after " + last)
			last = rows[0]
		}
		return nil
	})
}

// real starts daemons that tests share.
func real(t *testing.T) *minicluster.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := t.TempDir()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", "../engine-driver", "../engine-executor").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	c, err := minicluster.Start(ctx, minicluster.Config{Bin: bin, Dir: t.TempDir(), Drivers: 3, Executors: 2, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = c.Logs(t.Output())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv(masterEnv, c.Master)
	t.Setenv("HIBANA_TOKEN_FILE", c.Token)
	return c
}

// TestOnDaemons submits to real daemons.
func TestOnDaemons(t *testing.T) {
	c := real(t)
	dir := t.TempDir()
	text, foreign := filepath.Join(dir, "main.go"), filepath.Join(dir, "foreign")
	write := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(text, []byte("package main\n"))
	write(foreign, append([]byte{0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1}, make([]byte, 4096)...)) // Mach-O
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string
		code int
		out  string // on standard output, a pattern
		err  string // on standard error, a pattern
	}{
		{[]string{text}, exitFailed, `^$`, `the binary can't be used: it is no executable`},
		{[]string{foreign}, exitFailed, `^$`, `the binary can't be used`},
		{[]string{self, "--", "--batches", "5"}, exitOK, `^job \d+ finished after .*: \d+ batches`, `submitted .* as job`},
		{[]string{self, "--", "--nonsense"}, exitFailed, `^job \d+ failed`, `failed: the program can't be built:\s+wrong use: flag provided but not defined: -nonsense`},
		{[]string{self, "--", "--batches", "5", "--conf", "task.maxFailure=1"}, exitFailed, `^job \d+ failed`, `failed: wrong use: --conf task.maxFailure=1: unknown setting "task.maxFailure" \(did you mean "task.maxFailures"\?\); --conf help lists`},
		{[]string{self, "--", "--batches", "5", "--master", "local[2]"}, exitFailed, `^job \d+ failed`, `wrong use: --master local\[2\] is for a program that runs by itself`},
		{[]string{self, "--", "--checkpoint", "/tmp/x"}, exitFailed, `^job \d+ failed`, `wrong use: --checkpoint /tmp/x is for a program that runs by itself`},
		{[]string{"--submission", "help", self, "--", "--batches", "5", "--help"}, exitFailed, `^job \d+ failed`, `the command line asks for help: it is in the job's log; sums --help`},
		{[]string{"logs", "help"}, exitOK, `(?s)Usage: sums \[flags\].*batches with records`, `the log on d\d`},
		{[]string{self, "--", "--panic"}, exitFailed, `^job \d+ failed`, `no number pleases me`},
		{[]string{"--detach", "--submission", "once", self}, exitOK, `^\d+\n$`, `as job \d+\n$`},
		{[]string{"--submission", "once", self}, exitOK, `finished`, `was taken before, as job`},
		{[]string{"--submission", "once", self, "other"}, exitFailed, `^$`, `the submission id is taken`},
		{[]string{"status", "once"}, exitOK, `state +finished\n`, `^$`},
		{[]string{"logs", "once"}, exitOK, `that was the last one`, `the log on d\d`},
		{[]string{"list"}, exitOK, `(?s)finished.* once\n.*failed`, `^$`},
		{[]string{"cluster"}, exitOK, `(?s)leader.*e1.*alive\ne2.*alive`, `^$`},
		{[]string{"kill", "once"}, exitOK, `^$`, `is finished`},
		{[]string{"logs", "999999"}, exitFailed, `^$`, `no such job`},
	} {
		s := around(0)
		code := run(&s.process, x.args)
		if out, err := s.out.String(), s.err.String(); code != x.code || !regexp.MustCompile(x.out).MatchString(out) || !regexp.MustCompile(x.err).MatchString(err) {
			t.Errorf("engine-submit %q: exit code %d, expected %d\nstdout: %q, expected %q\nstderr: %q, expected %q", x.args, code, x.code, out, x.out, err, x.err)
		}
	}
	t.Run("hangs", func(t *testing.T) { testHangs(t, c, self) })
	t.Run("models", func(t *testing.T) { testModels(t, c, self) })
	t.Run("the leader dies", func(t *testing.T) { testLeaderDies(t, c, self) })
	t.Run("no quorum", func(t *testing.T) { testNoQuorum(t, c) })
}

// testModels publishes versions of a model while a job runs, kills the leader in
// between, and goes back.
func testModels(t *testing.T, c *minicluster.Cluster, self string) {
	if code := run(&around(0).process, []string{"--detach", "--submission", "storeless", self, "--model", "--batches", "1000000"}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	dir := t.TempDir()
	if code := run(&around(0).process, []string{"--detach", "--submission", "models", self, "--model", "--batches", "1000000", "--conf", "models.store=" + filepath.Join(dir, "store")}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	file := func(content string) string {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// says runs engine-submit model and checks what it says and exits with.
	says := func(code int, text string, args ...string) {
		t.Helper()
		s := around(0)
		if got := run(&s.process, append([]string{"model"}, args...)); got != code || !strings.Contains(s.err.String(), text) {
			t.Errorf("engine-submit model %q: exit code %d, expected %d:\n%s", args, got, code, s.err.String())
		}
	}
	// used waits until batches use a version.
	logs := around(0)
	following := make(chan int, 1)
	go func() { following <- run(&logs.process, []string{"logs", "--follow", "models"}) }()
	logs.out.await(t, "batches use carried")
	says(exitFailed, "start it with --conf models.store=URL", "storeless", "m", file("retrained"))
	says(exitFailed, "the program declares [m]", "models", "n", file("retrained"))
	says(exitFailed, "there is none before the current one", "models", "m", "--rollback")
	says(exitOK, "batches are planned with version", "models", "m", file("retrained"))
	logs.out.await(t, "batches use retrained")
	says(exitFailed, "layer fc1 holds a NaN", "models", "m", file("bad"))
	says(exitFailed, "the version is refused: "+dir+"/file is empty", "models", "m", file(""))
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(leader); err != nil {
		t.Fatal(err)
	}
	says(exitOK, "batches are planned with version", "models", "m", file("better"))
	logs.out.await(t, "batches use better")
	if err := c.Restart(leader); err != nil {
		t.Fatal(err)
	}
	says(exitOK, "of m", "models", "m", "--rollback", "--version", modelstore.Digest([]byte("retrained"))[:12])
	logs.out.await(t, "batches use retrained after better")
	if code := run(&around(0).process, []string{"kill", "models"}); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code := run(&around(0).process, []string{"kill", "storeless"}); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	<-following
	says(exitFailed, "the job has ended", "models", "m", "--rollback")
}

// testLeaderDies kills the leader, and with it the job's driver process, while
// engine-submit watches, and then stops the job with Ctrl-C.
func testLeaderDies(t *testing.T, c *minicluster.Cluster, self string) {
	s := around(0)
	code := make(chan int, 1)
	go func() { code <- run(&s.process, []string{self, "--", "--batches", "1000000"}) }()
	s.err.await(t, "records/s")
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(leader); err != nil {
		t.Fatal(err)
	}
	s.err.await(t, "goes on with a new driver process")
	s.signals <- os.Interrupt
	if got := <-code; got != exitOK || !strings.Contains(s.out.String(), "finished") {
		t.Errorf("exit code %d\nstdout: %s\nstderr: %s", got, s.out.String(), s.err.String())
	}
}

// testNoQuorum kills another driver, so that too few are left.
func testNoQuorum(t *testing.T, c *minicluster.Cluster) {
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(leader); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list", "--patience", "500ms"}, {"cluster"}} {
		s := around(0)
		if code := run(&s.process, args); code != exitUnknown {
			t.Errorf("%q: exit code %d\nstdout: %s\nstderr: %s", args, code, s.out.String(), s.err.String())
		}
	}
}
