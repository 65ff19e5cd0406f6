package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/client/clienttest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// surroundings is a process whose output a test reads while it runs.
type surroundings struct {
	process
	signals chan os.Signal
	out     output
	err     output
}

// output is a buffer that can be waited for.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	select {
	case o.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until the output holds a text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.wrote:
		case <-deadline:
			t.Fatalf("%q never came; there is:\n%s", text, o.String())
		}
	}
}

// around returns surroundings with a terminal of the given width, 0 for none.
func around(width int) *surroundings {
	s := &surroundings{signals: make(chan os.Signal, 4)}
	s.out.wrote, s.err.wrote = make(chan struct{}, 1), make(chan struct{}, 1)
	s.process = process{stdout: &s.out, stderr: &s.err, signals: s.signals, width: func() int { return width }}
	return s
}

// cluster starts drivers and makes them the default of commands.
func cluster(t *testing.T) *clienttest.Cluster {
	t.Helper()
	c := clienttest.New(t, 3)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(c.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HIBANA_TOKEN_FILE", token)
	t.Setenv(masterEnv, c.Master())
	return c
}

// program writes a file to submit.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wordcount")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 2*wire.ChunkSize), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// firstJob is the number of the first job that is submitted to a fake cluster.
const firstJob = 11

// submitted starts engine-submit and returns when its job is there, and what it
// will exit with.
func submitted(t *testing.T, s *surroundings, args ...string) <-chan int {
	t.Helper()
	code := make(chan int, 1)
	go func() { code <- run(&s.process, args) }()
	s.err.await(t, "as job "+strconv.Itoa(firstJob))
	return code
}

func TestSubmitAndWatch(t *testing.T) {
	for _, x := range []struct {
		name  string
		state wire.JobState
		why   string
		code  int
		says  string
	}{
		{"finished", wire.JobFinished, "", exitOK, "job 11 finished after 2.0s: 7 batches, 1,200 records\n"},
		{"failed", wire.JobFailed, "task 3 of batch 7 panicked", exitFailed, "job 11 failed after 2.0s: 7 batches, 1,200 records\n"},
		{"killed", wire.JobKilled, "", exitFailed, "job 11 killed after 2.0s"},
	} {
		t.Run(x.name, func(t *testing.T) {
			drivers, s := cluster(t), around(0)
			code := submitted(t, s, "--name", "words", program(t), "--", "--topic", "lines", "--", "x")
			s.err.await(t, "job 11 running on d1")
			drivers.Update(firstJob, func(st *wire.JobStatus) {
				st.Progress = wire.Progress{Batches: 7, Records: 1200, RecordsPerSec: 28683, SchedulingMS: 1.22, ProcessingMS: 17.4}
				st.Trouble = "waits for a broker"
			})
			s.err.await(t, "1,200 records  28,683 records/s  delay 1.2 ms  ran 17 ms  waits for a broker")
			drivers.Update(firstJob, func(st *wire.JobStatus) {
				st.State, st.Reason, st.LastBatch, st.Submitted, st.Ended = x.state, x.why, 7, 1e9, 3e9
			})
			if got := <-code; got != x.code {
				t.Errorf("exit code %d, expected %d", got, x.code)
			}
			if !strings.HasPrefix(s.out.String(), x.says) || !strings.Contains(s.err.String(), x.why) {
				t.Errorf("stdout %q, expected %q; stderr:\n%s", s.out.String(), x.says, s.err.String())
			}
			st, _ := drivers.Job(firstJob)
			if got := strings.Join(st.Spec.Args, " "); got != "--topic lines -- x" || st.Spec.Name != "words" {
				t.Errorf("job %q with arguments %q", st.Spec.Name, got)
			}
		})
	}
}

func TestSubmitGoesOnWithTheNextLeader(t *testing.T) {
	drivers, s := cluster(t), around(0)
	code := submitted(t, s, program(t))
	drivers.Update(firstJob, func(st *wire.JobStatus) { st.Progress = wire.Progress{Batches: 3, Records: 300} })
	s.err.await(t, "300 records")
	drivers.Update(firstJob, func(st *wire.JobStatus) {
		st.Node, st.Epoch, st.Progress, st.Reason = "d2", 40, wire.Progress{}, "d1 is gone:\nits last words"
	})
	drivers.Kill("d1")
	s.err.await(t, "goes on with a new driver process, on d2 (epoch 40): d1 is gone\n")
	drivers.Update(firstJob, func(st *wire.JobStatus) {
		st.State, st.LastBatch, st.Progress = wire.JobFinished, 5, wire.Progress{Batches: 2, Records: 150}
	})
	if got := <-code; got != exitOK || !strings.Contains(s.out.String(), "5 batches, at least 450 records") || strings.Contains(s.err.String(), "last words") {
		t.Errorf("exit code %d, stdout %q, stderr:\n%s", got, s.out.String(), s.err.String())
	}
}

func TestDetach(t *testing.T) {
	drivers, path := cluster(t), program(t)
	for i, says := range []string{"submitted", "was taken before, as job 11"} {
		s := around(0)
		if code := run(&s.process, []string{"--detach", "--submission", "nightly", path}); code != exitOK {
			t.Fatalf("exit code %d: %s", code, s.err.String())
		}
		if s.out.String() != "11\n" || !strings.Contains(s.err.String(), says) {
			t.Errorf("time %d: stdout %q, stderr %q", i, s.out.String(), s.err.String())
		}
	}
	s := around(0)
	if code := run(&s.process, []string{"--detach", "--submission", "nightly", path, "other"}); code != exitFailed || drivers.Jobs() != 1 {
		t.Errorf("exit code %d, %d jobs: %s", code, drivers.Jobs(), s.err.String())
	}
}

// A submission that is sent again after its answer was lost is the same job, also when
// --resume names what is the name of that job now.
func TestResumeIsSentAgain(t *testing.T) {
	drivers, path := cluster(t), program(t)
	drivers.AddJob(wire.JobStatus{Spec: wire.JobSpec{Name: "orders", Submission: "first"}, State: wire.JobFinished})
	drivers.AddJob(wire.JobStatus{Spec: wire.JobSpec{Name: "others"}, State: wire.JobFinished})
	submit := func(resume string) (code int, out, err string) {
		s := around(0)
		code = run(&s.process, []string{"--detach", "--submission", "second", "--name", "orders", "--resume", resume, path})
		return code, s.out.String(), s.err.String()
	}
	if code, out, err := submit("orders"); code != exitOK || out != "13\n" || !strings.Contains(err, "as job 13, which goes on from job 11") {
		t.Fatalf("exit code %d: %s%s", code, out, err)
	}
	for _, resume := range []string{"orders", "11", "first"} {
		if code, out, err := submit(resume); code != exitOK || out != "13\n" || !strings.Contains(err, "submission second was taken before, as job 13") {
			t.Errorf("sent again with --resume %s: exit code %d: %s%s", resume, code, out, err)
		}
	}
	if code, _, err := submit("others"); code != exitFailed || !strings.Contains(err, "job 13") {
		t.Errorf("sent again to resume another job: exit code %d: %s", code, err)
	}
	if st, _ := drivers.Job(13); drivers.Jobs() != 3 || st.Spec.Resume != 11 {
		t.Errorf("there are %d jobs, the last resumes job %d", drivers.Jobs(), st.Spec.Resume)
	}
}

func TestInterrupts(t *testing.T) {
	t.Run("the first stops the job", func(t *testing.T) {
		drivers, s := cluster(t), around(0)
		code := submitted(t, s, program(t))
		s.signals <- os.Interrupt
		s.err.await(t, "job 11 stopping")
		drivers.Update(firstJob, func(st *wire.JobStatus) { st.State = wire.JobFinished })
		if got := <-code; got != exitOK {
			t.Errorf("exit code %d", got)
		}
	})
	t.Run("the second leaves it", func(t *testing.T) {
		drivers, s := cluster(t), around(0)
		code := submitted(t, s, program(t))
		s.signals <- os.Interrupt
		s.err.await(t, "job 11 stopping")
		s.signals <- os.Interrupt
		if got := <-code; got != exitInterrupted || !strings.Contains(s.err.String(), "job 11 is left to itself") {
			t.Errorf("exit code %d: %s", got, s.err.String())
		}
		if st, _ := drivers.Job(firstJob); st.State != wire.JobStopping {
			t.Errorf("the job is %s", st.State)
		}
	})
	t.Run("SIGTERM leaves it running", func(t *testing.T) {
		drivers, s := cluster(t), around(0)
		code := submitted(t, s, program(t))
		s.signals <- syscall.SIGTERM
		if got := <-code; got != exitTerminated {
			t.Errorf("exit code %d", got)
		}
		if st, _ := drivers.Job(firstJob); st.State != wire.JobRunning {
			t.Errorf("the job is %s", st.State)
		}
	})
	t.Run("before the job is there", func(t *testing.T) {
		drivers, s := cluster(t), around(0)
		drivers.Lead("")
		s.signals <- os.Interrupt
		if got := run(&s.process, []string{program(t)}); got != exitInterrupted || !strings.Contains(s.err.String(), "interrupted while submitting") {
			t.Errorf("exit code %d: %s", got, s.err.String())
		}
	})
}

func TestTerminal(t *testing.T) {
	drivers, s := cluster(t), around(60)
	code := submitted(t, s, program(t))
	s.err.await(t, "uploading wordcount [")
	s.err.await(t, "[==============================] 100 %")
	drivers.Update(firstJob, func(st *wire.JobStatus) {
		st.LastBatch, st.Progress = 3, wire.Progress{Batches: 3, Records: 300, RecordsPerSec: 1e6}
	})
	s.err.await(t, "job 11 running on d1  batch 3  300 records  1,000,000 recor")
	if strings.Contains(s.err.String(), "1,000,000 record") {
		t.Errorf("the line is wider than the terminal:\n%q", s.err.String())
	}
	drivers.Update(firstJob, func(st *wire.JobStatus) { st.State = wire.JobFinished })
	if got := <-code; got != exitOK || strings.Contains(s.out.String(), "\x1b") {
		t.Errorf("exit code %d, stdout %q", got, s.out.String())
	}
}

func TestPlainLinesAreFew(t *testing.T) {
	s := around(0)
	d := newDisplay(&s.process, cli.NewStatusLine(&s.err, s.width))
	now := time.Unix(0, 0)
	d.now = func() time.Time { return now }
	for i := range 100 { // 20 s
		d.update(&wire.JobStatus{State: wire.JobRunning, LastBatch: uint64(i + 1)})
		now = now.Add(200 * time.Millisecond)
	}
	for range 100 { // nothing happens for 20 s
		d.update(&wire.JobStatus{State: wire.JobRunning, LastBatch: 100})
		now = now.Add(200 * time.Millisecond)
	}
	if n := strings.Count(s.err.String(), "\n"); n != 5 {
		t.Errorf("%d lines, expected 5: at 0, 5, 10, 15 and 20 s\n%s", n, s.err.String())
	}
	before := s.err.String()
	for i := range 100 { // what is wrong is said when it begins and when it ends, not as it lasts
		d.update(&wire.JobStatus{State: wire.JobRunning, LastBatch: 100, Trouble: fmt.Sprintf("batch 101 has taken %ds so far", i)})
		now = now.Add(200 * time.Millisecond)
	}
	d.update(&wire.JobStatus{State: wire.JobRunning, LastBatch: 100})
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(s.err.String(), before)), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "batch 101 has taken 0s so far") || strings.Contains(lines[1], "has taken") {
		t.Errorf("of a trouble it says\n%s", strings.Join(lines, "\n"))
	}
}
