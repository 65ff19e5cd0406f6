package main

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// TestMain lets the test's binary be the program that is submitted.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "--orders") { // a job's process, or started by a command
		runOrders()
	}
	if os.Getenv(role.Env) == "" {
		os.Exit(m.Run())
	}
	app := engine.NewApp("sums")
	batches := app.Flags().Int("batches", 1, "batches with records, after which the program stops")
	panics := app.Flags().Bool("panic", false, "panic in a task")
	knows := app.Flags().String("knows", "", "print how long a variable is that tasks and the driver see")
	asks := app.Flags().Bool("model", false, "print the version of a model of each batch")
	rounds := app.Flags().Int("rounds", 0, "be a batch program of so many rounds")
	hold := app.Flags().String("hold", "", "a `file` for which a batch program's tasks wait in the sixth round")
	if slices.Contains(os.Args, "--rounds") { // which only the flags know that aren't read yet
		app.Batch(func(sc *rdd.Context) error { return sumInRounds(sc, *rounds, *panics, *hold) })
	}
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
		if *knows != "" {
			printLengths(ssc, *knows)
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

// sumInRounds is a batch program that adds numbers up.
func sumInRounds(sc *rdd.Context, rounds int, panics bool, hold string) error {
	total := 0
	for round := range rounds {
		input := rdd.Parallelize(sc, []int{1, 2, 3, 4, 5, 6}, rdd.Partitions(3))
		if round == 5 && hold != "" {
			input = rdd.TryMapPartitions(input, func(p rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					for _, err := os.Stat(hold); err != nil && p.Context().Err() == nil; _, err = os.Stat(hold) {
						time.Sleep(20 * time.Millisecond)
					}
					in(yield)
				}
			})
		}
		numbers := rdd.Map(input, func(n int) rdd.Pair[int, int] {
			if panics {
				panic("no number pleases me")
			}
			return rdd.Pair[int, int]{Key: n % 2, Value: n + total}
		})
		sums, err := rdd.Collect(rdd.ReduceByKey(numbers, func(a, b int) int { return a + b }, rdd.Partitions(2)))
		if err != nil {
			return err
		}
		total = rdd.Value(sc, func() int { return sums[0].Value + sums[1].Value - 5*total })
	}
	sc.OnDriver(func() error { fmt.Println("the total is", total); return nil })
	return nil
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

// printLengths prints how long a variable is on the driver, when the program is built,
// and in a task.
func printLengths(ssc *engine.StreamingContext, name string) {
	built := len(os.Getenv(name))
	inTasks := engine.Map(enginetest.Queue(ssc, [][]int{{1}}, 1), func(int) int { return len(os.Getenv(name)) })
	engine.ForEachBatch(inTasks, func(_ engine.Batch, n []int) error {
		if len(n) == 1 {
			ssc.Logger().Info(fmt.Sprintf("%s has %d bytes in the build, %d in a task", name, built, n[0]))
		}
		return nil
	})
}

// real starts daemons that tests share.
func real(t *testing.T) *minicluster.Cluster {
	t.Helper()
	c, _ := clustertest.Start(t, 2)
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
		{[]string{self, "--", "--nonsense"}, exitFailed, `^job \d+ failed`, `failed: the program can't be built:\s+wrong use: unknown flag --nonsense`},
		{[]string{self, "--detach"}, exitFailed, `^job \d+ failed`, `engine-submit: --detach stands before the program: engine-submit --detach … `},
		{[]string{self, "--", "--batches", "5", "--conf", "task.maxFailure=1"}, exitFailed, `^job \d+ failed`, `failed: wrong use: --conf task.maxFailure=1: unknown setting "task.maxFailure" \(did you mean "task.maxFailures"\?\); --conf help lists`},
		{[]string{self, "--", "--batches", "5", "--master", "local[2]"}, exitFailed, `^job \d+ failed`, `wrong use: --master local\[2\] is for a program that runs by itself`},
		{[]string{self, "--", "--checkpoint", "/tmp/x"}, exitFailed, `^job \d+ failed`, `wrong use: --checkpoint /tmp/x is for a program that runs by itself`},
		{[]string{"--submission", "help", self, "--", "--batches", "5", "--help"}, exitFailed, `^job \d+ failed`, `the command line asks for help, or for the version: it is in the job's log; sums, run by itself`},
		{[]string{"logs", "help"}, exitOK, `(?s)Usage: sums \[flags\].*batches with records`, `the log on d\d`},
		{[]string{self, "--", "--panic"}, exitFailed, `^job \d+ failed`, `no number pleases me`},
		{[]string{"--submission", "batch", self, "--", "--rounds", "10"}, exitOK, `^job \d+ finished after .*: 20 steps, 50 tasks in 20 stages of 10 actions, 0 records read, [1-9]\d* B shuffled`, `submitted .* as job`},
		{[]string{"logs", "batch"}, exitOK, `the total is 210\n`, `the log on d\d`},
		{[]string{"status", "batch"}, exitOK, `(?s)state +finished\nkind +batch\n.*ended +\d.*, after `, `^$`},
		{[]string{"list"}, exitOK, `batch +finished`, `: slots: 4 in all, 0 used, 4 free\n$`},
		{[]string{self, "--", "--rounds", "1", "--panic"}, exitFailed, `^job \d+ failed`, `(?s)map at engine-submit/cluster_test.go:\d+: panic.*no number pleases me \(step 1, `},
		{[]string{self, "--", "--rounds", "1", "--checkpoint", "/tmp/x"}, exitFailed, `^job \d+ failed`, `wrong use: --checkpoint is for streams`},
		{[]string{"--restart", "on-failure:2", self, "--", "--panic"}, exitFailed, `^job \d+ failed`, `(?s)it has failed 2 times in a row \(--restart on-failure:2\) and is started again after 2s: .*no number pleases me.*failed: it has failed 3 times in a row, the last time: `},
		{[]string{"--restart", "always", self}, exitUsage, `^$`, `"always"; there are never, on-failure and on-failure:N`},
		{[]string{"--detach", "--submission", "once", self}, exitOK, `^\d+\n$`, `as job \d+\n$`},
		{[]string{"--submission", "once", self}, exitOK, `finished`, `was taken before, as job`},
		{[]string{"--submission", "once", self, "other"}, exitFailed, `^$`, `the submission id is taken`},
		{[]string{"status", "once"}, exitOK, `state +finished\n`, `^$`},
		{[]string{"logs", "once"}, exitOK, `that was the last one`, `the log on d\d`},
		{[]string{"list"}, exitOK, `(?s)finished.* once +-\n.*failed`, `: slots: 4 in all, 0 used, 4 free\n$`},
		{[]string{"cluster"}, exitOK, `(?s)leader.*e1.*alive\ne2.*alive`, `^$`},
		{[]string{"kill", "once"}, exitOK, `^$`, `has finished already, at `},
		{[]string{"logs", "999999"}, exitFailed, `^$`, `no such job`},
	} {
		s := around(0)
		code := run(&s.process, x.args)
		if out, err := s.out.String(), s.err.String(); code != x.code || !regexp.MustCompile(x.out).MatchString(out) || !regexp.MustCompile(x.err).MatchString(err) {
			t.Errorf("engine-submit %q: exit code %d, expected %d\nstdout: %q, expected %q\nstderr: %q, expected %q", x.args, code, x.code, out, x.out, err, x.err)
		}
	}
	t.Run("hangs", func(t *testing.T) { testHangs(t, c, self) })
	t.Run("batch program", func(t *testing.T) { testBatchProgram(t, c, self) })
	t.Run("secrets", func(t *testing.T) { testSecrets(t, self) })
	t.Run("models", func(t *testing.T) { testModels(t, c, self) })
	t.Run("the leader dies", func(t *testing.T) { testLeaderDies(t, c, self) })
	t.Run("no quorum", func(t *testing.T) { testNoQuorum(t, c) })
}

// testBatchProgram looks at a batch program while it runs, kills the leader, and with it
// the program's driver process, and sees that the program is started over.
func testBatchProgram(t *testing.T, c *minicluster.Cluster, self string) {
	file := filepath.Join(t.TempDir(), "go")
	program := []string{"--submission", "rounds", self, "--", "--rounds", "10", "--hold", file}
	watch, code := around(0), make(chan int, 1)
	go func() { code <- run(&watch.process, program) }()
	shows := func(args []string, pattern string) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			s := around(0)
			run(&s.process, args)
			if regexp.MustCompile(pattern).MatchString(s.out.String()) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("engine-submit %q doesn't show %q: %s%s", args, pattern, s.out.String(), s.err.String())
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	const stage = `map at engine-submit/cluster_test\.go:\d+ \[ +\] \(0 \+ 3\) / 3`
	status := `(?s)state +running\nkind +batch\n.*step +11, collect at engine-submit/cluster_test\.go:\d+\nstage +` + stage + `\n.*this driver +11 steps, 25 tasks`
	shows([]string{"status", "rounds"}, status)
	shows([]string{"list"}, `running .* step 11 +- .* rounds +-\n`)
	watch.err.await(t, "step 11, collect at engine-submit/cluster_test.go:")
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(leader); err != nil {
		t.Fatal(err)
	}
	watch.err.await(t, "goes on with a new driver process")
	shows([]string{"status", "rounds"}, status)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != exitOK || !strings.Contains(watch.out.String(), "finished") {
		t.Errorf("exit code %d\nstdout: %s\nstderr: %s", got, watch.out.String(), watch.err.String())
	}
	shows([]string{"logs", "rounds"}, `the total is 210\n`)
	if err := c.Restart(leader); err != nil {
		t.Fatal(err)
	}
}

// testSecrets submits a program with a secret and looks for it where it must not be, and
// for a variable of the daemons that isn't the job's.
func testSecrets(t *testing.T, self string) {
	const secret = "correct horse battery staple"
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	batches := fmt.Sprint(1_000_000 + os.Getpid()) // another run of this test has another number
	args := []string{"--detach", "--submission", "secretive", "--secret", "PASSWORD=" + path, self, "--batches", batches, "--knows", "PASSWORD"}
	if code := run(&around(0).process, args); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	logs := around(0)
	following := make(chan int, 1)
	go func() { following <- run(&logs.process, []string{"logs", "--follow", "secretive"}) }()
	logs.out.await(t, fmt.Sprintf("PASSWORD has %d bytes in the build, %d in a task", len(secret), len(secret)))
	status := around(0)
	if code := run(&status.process, []string{"status", "secretive"}); code != exitOK || !strings.Contains(status.out.String(), "[PASSWORD], which aren't shown") {
		t.Errorf("exit code %d: %s", code, status.out.String())
	}
	shown := status.out.String() + logs.out.String()
	seen := 0
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		line, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may have ended
		env, _ := os.ReadFile(filepath.Join(p, "environ"))
		shown += string(line)
		if bytes.HasPrefix(line, []byte(filepath.Base(self)+"-")) && bytes.Contains(line, []byte(batches)) {
			seen++
			shown += string(env)
			if bytes.Contains(env, []byte("HIBANA_TOKEN_FILE")) || !bytes.Contains(env, []byte("PATH=")) {
				t.Errorf("the environment of %s: %q", line, env)
			}
		}
	}
	if seen != 3 || strings.Contains(shown, secret) {
		t.Errorf("of %d processes, or in the status or the log, the secret is shown: %t", seen, strings.Contains(shown, secret))
	}
	if code := run(&around(0).process, []string{"kill", "secretive"}); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	<-following
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
