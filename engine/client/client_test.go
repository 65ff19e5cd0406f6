package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/client/clienttest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// connect returns a client of drivers, with patience for a test.
func connect(t *testing.T, master string, s security.Security, patience time.Duration) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Master: master, Security: s, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// program writes a file of some chunks and a bit.
func program(t *testing.T) (path string, content []byte) {
	t.Helper()
	content = bytes.Repeat([]byte("hibana"), 3*wire.ChunkSize/6+100)
	path = filepath.Join(t.TempDir(), "wordcount")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// plenty is patience that no test should use up.
const plenty = time.Minute

func TestSubmit(t *testing.T) {
	drivers := clienttest.New(t, 3)
	path, content := program(t)
	followers := strings.SplitN(drivers.Master(), ",", 2)[1]
	c := connect(t, followers, drivers.Security(), plenty)
	var uploads []int64
	s := client.Submission{
		ID: "nightly-1", Binary: path, Args: []string{"--topic", "lines"},
		Uploaded: func(sent, total int64) {
			if total != int64(len(content)) {
				t.Errorf("total %d, expected %d", total, len(content))
			}
			uploads = append(uploads, sent)
		},
	}
	first, err := c.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(content)); len(uploads) != 5 || uploads[0] != 0 || uploads[4] != n {
		t.Errorf("upload was reported as %v, expected 0 to %d in 5 steps", uploads, n)
	}
	st, got := drivers.Job(first.Incarnation)
	if !bytes.Equal(got, content) || st.Spec.Name != "wordcount" || strings.Join(st.Spec.Args, " ") != "--topic lines" || first.Existed {
		t.Errorf("job %+v of %+v with %d bytes", first, st.Spec, len(got))
	}
	uploads = nil
	again, err := c.Submit(t.Context(), s)
	if err != nil || !again.Existed || again.JobRef != first.JobRef || uploads != nil {
		t.Errorf("the same submission again: %+v, %v, uploads %v", again, err, uploads)
	}
	s.Args = nil
	if _, err := c.Submit(t.Context(), s); !errors.Is(err, wire.ErrSubmissionTaken) {
		t.Errorf("another submission under the same id: %v", err)
	}
	s.ID = ""
	if other, err := c.Submit(t.Context(), s); err != nil || other.Existed || other.Incarnation == first.Incarnation {
		t.Errorf("a submission without an id: %+v, %v", other, err)
	}
}

func TestSubmitSurvivesTheLeader(t *testing.T) {
	drivers := clienttest.New(t, 3)
	path, content := program(t)
	drivers.CutUpload(2 * wire.ChunkSize)
	job, err := connect(t, drivers.Master(), drivers.Security(), plenty).Submit(t.Context(), client.Submission{ID: "a", Binary: path})
	if err != nil {
		t.Fatal(err)
	}
	if st, got := drivers.Job(job.Incarnation); !bytes.Equal(got, content) || st.Node != "d2" || drivers.Jobs() != 1 || job.Existed {
		t.Errorf("%d jobs, %+v on %s with %d bytes", drivers.Jobs(), job, st.Node, len(got))
	}
}

func TestSubmitIsInterrupted(t *testing.T) {
	drivers := clienttest.New(t, 1)
	path, _ := program(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user has other plans")
	_, err := connect(t, drivers.Master(), drivers.Security(), plenty).Submit(ctx, client.Submission{
		Binary: path, Uploaded: func(int64, int64) { cancel(why) },
	})
	if !errors.Is(err, why) || drivers.Jobs() != 0 {
		t.Errorf("%d jobs, error %v", drivers.Jobs(), err)
	}
}

func TestSubmitRefuses(t *testing.T) {
	drivers := clienttest.New(t, 1)
	path, _ := program(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	drivers.Reject(func(b *wire.SubmitBegin) error {
		if b.Name == "foreign" {
			return errors.Join(wire.ErrBinary, errors.New("it is for darwin/arm64"))
		}
		return nil
	})
	for _, x := range []struct {
		name, id, binary, job string
		is                    error
		says                  string
	}{
		{"no file", "", path + "-not", "", os.ErrNotExist, "wordcount-not"},
		{"a directory", "", filepath.Dir(path), "", wire.ErrBinary, "is a directory, not a program"},
		{"an empty file", "", empty, "", wire.ErrBinary, "empty is empty"},
		{"an id that is a number", "17", path, "", wire.ErrInvalid, "taken for a flag or a job's number"},
		{"an id with a space", "a b", path, "", wire.ErrInvalid, "letters, digits, '-', '_' and '.' go"},
		{"a long id", strings.Repeat("x", 200), path, "", wire.ErrInvalid, "at most 64"},
		{"another platform's", "", path, "foreign", wire.ErrBinary, "darwin/arm64"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := connect(t, drivers.Master(), drivers.Security(), plenty)
			_, err := c.Submit(t.Context(), client.Submission{ID: x.id, Binary: x.binary, Name: x.job})
			if !errors.Is(err, x.is) || !strings.Contains(err.Error(), x.says) {
				t.Errorf("error %v, expected one that says %q", err, x.says)
			}
		})
	}
	if n := drivers.Jobs(); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestTheClusterCannotBeReached(t *testing.T) {
	drivers := clienttest.New(t, 3)
	wrong := security.Security{}.WithToken(security.NewToken())
	if _, err := connect(t, drivers.Master(), wrong, plenty).Jobs(t.Context()); !errors.Is(err, wire.ErrUnauthenticated) {
		t.Errorf("a wrong token: %v", err)
	}
	const patience = 3 * time.Second // until it has heard one of them, on a busy machine
	c := connect(t, drivers.Master(), drivers.Security(), patience)
	drivers.Lead("")
	if _, err := c.Jobs(t.Context()); !errors.Is(err, wire.ErrNoLeader) || !strings.Contains(err.Error(), "are most of the drivers up") {
		t.Errorf("no leader: %v", err)
	}
	for _, id := range []string{"d1", "d2", "d3"} {
		drivers.Kill(id)
	}
	if _, err := c.Jobs(t.Context()); !errors.Is(err, wire.ErrNoLeader) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("no driver: %v", err)
	}
	for _, master := range []string{"", " , ", "localhost", "10.1.2.3:7077"} {
		if _, err := client.New(client.Config{Master: master, Security: drivers.Security()}); err == nil {
			t.Errorf("addresses %q are taken", master)
		}
	}
}

// A cluster that hangs isn't waited for longer than was said, and what is said of that is
// true.
func TestPatienceIsKept(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	const patience = 1500 * time.Millisecond
	c := connect(t, deaf.Addr().String(), securitytest.Token(), patience)
	began := time.Now()
	_, err = c.Jobs(t.Context())
	took := time.Since(began)
	if took < patience || took > 2*patience {
		t.Errorf("patience of %s took %s", patience, took)
	}
	if err == nil {
		t.Fatal("it was answered")
	}
	_, after, _ := strings.Cut(err.Error(), "gave up after ")
	text, _, _ := strings.Cut(after, ":")
	said, wrong := time.ParseDuration(text)
	if wrong != nil || (took-said).Abs() > 100*time.Millisecond {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestWaitingIsTold(t *testing.T) {
	drivers := clienttest.New(t, 1)
	drivers.Lead("")
	var told error
	c, err := client.New(client.Config{
		Master: drivers.Master(), Security: drivers.Security(), Patience: plenty,
		Waiting: func(err error) { told = err; drivers.Lead("d1") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Leader(t.Context()); err != nil || !errors.Is(told, wire.ErrNoLeader) {
		t.Errorf("error %v; told %v", err, told)
	}
}

func TestWatchFollowsTheLeader(t *testing.T) {
	drivers := clienttest.New(t, 3)
	id := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, LastBatch: 1})
	c := connect(t, drivers.Master(), drivers.Security(), plenty)
	var seen []uint64
	st, err := c.Watch(t.Context(), wire.JobRef{Incarnation: id}, func(st *wire.JobStatus) {
		if n := len(seen); n > 0 && seen[n-1] == st.LastBatch {
			return
		}
		seen = append(seen, st.LastBatch)
		switch st.LastBatch {
		case 1:
			go drivers.Update(id, func(st *wire.JobStatus) { st.LastBatch = 2 })
		case 2:
			go func() {
				drivers.Kill("d1")
				drivers.Update(id, func(st *wire.JobStatus) { st.LastBatch = 3 })
			}()
		case 3:
			go func() {
				drivers.Lead("d3")
				drivers.Update(id, func(st *wire.JobStatus) { st.LastBatch, st.State = 4, wire.JobFinished })
			}()
		}
	})
	if err != nil || st.State != wire.JobFinished || len(seen) != 4 {
		t.Errorf("saw batches %v, ended as %+v: %v", seen, st, err)
	}
}

func TestJobs(t *testing.T) {
	drivers := clienttest.New(t, 2)
	c := connect(t, drivers.Master(), drivers.Security(), plenty)
	old := drivers.AddJob(wire.JobStatus{State: wire.JobFinished, Spec: wire.JobSpec{Submission: "old"}})
	young := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, Spec: wire.JobSpec{Submission: "young"}})
	jobs, err := c.Jobs(t.Context())
	if err != nil || len(jobs) != 2 || jobs[0].Spec.Incarnation != young || jobs[1].Spec.Incarnation != old {
		t.Errorf("jobs %+v: %v", jobs, err)
	}
	for _, ref := range []wire.JobRef{{Incarnation: old}, {Submission: "old"}} {
		if st, err := c.Status(t.Context(), ref); err != nil || st.Spec.Incarnation != old {
			t.Errorf("status of %+v: %+v, %v", ref, st, err)
		}
	}
	if _, err := c.Status(t.Context(), wire.JobRef{Incarnation: 999}); !errors.Is(err, wire.ErrNoJob) {
		t.Errorf("an unknown job: %v", err)
	}
	if st, err := c.Kill(t.Context(), wire.JobRef{Incarnation: young}, true); err != nil || st.State != wire.JobStopping {
		t.Errorf("ended gracefully: %+v, %v", st, err)
	}
	if st, err := c.Kill(t.Context(), wire.JobRef{Submission: "young"}, false); err != nil || st.State != wire.JobKilled {
		t.Errorf("killed: %+v, %v", st, err)
	}
}

func TestFind(t *testing.T) {
	drivers := clienttest.New(t, 1)
	for _, x := range []struct {
		name, submission string
		state            wire.JobState
	}{ // numbers from 11
		{"words", "nightly", wire.JobFinished},
		{"words", "s-2", wire.JobRunning},
		{"nightly", "s-3", wire.JobRunning},
		{"twice", "s-4", wire.JobRunning},
		{"twice", "s-5", wire.JobStopping},
		{"ended", "s-6", wire.JobFailed},
		{"ended", "s-7", wire.JobFailed},
		{"a name / of words", "s-8", wire.JobFailed},
		{"words", "s-9", wire.JobKilled},
		{"64", "s-10", wire.JobRunning},
		{"12", "s-11", wire.JobRunning},
	} {
		drivers.AddJob(wire.JobStatus{State: x.state, Spec: wire.JobSpec{Name: x.name, Submission: x.submission}})
	}
	c := connect(t, drivers.Master(), drivers.Security(), plenty)
	for _, x := range []struct {
		job  string
		want uint64
		says string
	}{
		{"12", 12, ""},
		{"999", 0, "job 999: no such job: 999"},
		{"64", 20, ""}, // a name, since there is no such number
		{"wrods", 0, `the name "wrods" (did you mean words?)`},
		{"nihgtly", 0, `(did you mean nightly?)`},
		{"nightly", 11, ""},
		{"s-3", 13, ""},
		{"words", 12, ""},
		{"twice", 0, `jobs 14, 15 are all named "twice"`},
		{"ended", 17, ""},
		{"a name / of words", 18, ""},
		{"0", 0, "no such job"},
		{"99999999999999999999", 0, "no such job"},
		{"", 0, "no such job"},
	} {
		ref, err := c.Find(t.Context(), x.job)
		if ref.Incarnation != x.want || (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q is %+v, %v; expected %d, %s", x.job, ref, err, x.want, x.says)
		}
	}
}

func TestLogs(t *testing.T) {
	drivers := clienttest.New(t, 3)
	id := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, Node: "d1"})
	ref := wire.JobRef{Incarnation: id}
	drivers.Log(id, "d1", "first\nsecond\n")
	drivers.Log(id, "d3", "elsewhere\n")
	drivers.Executors(wire.ExecutorStatus{ID: "e2", Address: "127.0.0.1:1"}) // nobody listens there
	c := connect(t, drivers.Master(), drivers.Security(), plenty)
	read := func(o client.LogOptions) string {
		var out strings.Builder
		if err := c.Logs(t.Context(), ref, o, &out); err != nil {
			return err.Error()
		}
		return out.String()
	}
	for _, x := range []struct {
		options client.LogOptions
		want    string
	}{
		{client.LogOptions{}, "first\nsecond\n"},
		{client.LogOptions{Tail: 7}, "second\n"},
		{client.LogOptions{Driver: "d3"}, "elsewhere\n"},
		{client.LogOptions{Driver: "d9"}, `there is no engine-driver "d9"; there are [d1 d2 d3]`},
		{client.LogOptions{Executor: "e9"}, `there is no executor "e9"`},
		{client.LogOptions{Executor: "e1", Driver: "d1"}, "not both"},
		{client.LogOptions{Executor: "e2"}, "executor e2 at 127.0.0.1:1 is silent, and the log lies there: dial tcp"},
	} {
		if got := read(x.options); !strings.Contains(got, x.want) {
			t.Errorf("with %+v: %q, expected %q", x.options, got, x.want)
		}
	}
}

func TestLogsAreFollowed(t *testing.T) {
	drivers := clienttest.New(t, 3)
	id := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, Node: "d1"})
	drivers.Log(id, "d1", "on d1\n")
	c := connect(t, drivers.Master(), drivers.Security(), plenty)
	r, w := io.Pipe()
	var from []string
	done := make(chan error, 1)
	go func() {
		done <- c.Logs(t.Context(), wire.JobRef{Incarnation: id}, client.LogOptions{
			Follow: true, Moved: func(node string) { from = append(from, node) },
		}, w)
	}()
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("read %q, %v; expected %q", got, err, want)
		}
	}
	expect("on d1\n")
	drivers.Log(id, "d1", "more\n")
	expect("more\n")
	drivers.Log(id, "d2", "on d2\n")
	drivers.Update(id, func(st *wire.JobStatus) { st.Node = "d2" })
	drivers.Kill("d1")
	expect("on d2\n")
	drivers.Update(id, func(st *wire.JobStatus) { st.State = wire.JobFinished })
	if err := <-done; err != nil || strings.Join(from, " ") != "d1 d2" {
		t.Errorf("logs of %v ended with %v", from, err)
	}
}

// A leader that steps down ends the log that it kept. Who follows the job waits for
// its next driver process and reads nothing twice, on the same node or another one.
func TestLogsAreFollowedBeyondAnEnd(t *testing.T) {
	for _, next := range []string{"d1", "d2"} {
		t.Run("on "+next, func(t *testing.T) {
			drivers := clienttest.New(t, 3)
			id := drivers.AddJob(wire.JobStatus{State: wire.JobSubmitted})
			drivers.Log(id, "d1", "first\n")
			var once sync.Once
			drivers.Asked(func() { // it has waited for the first process
				once.Do(func() {
					go drivers.Update(id, func(st *wire.JobStatus) { st.State, st.Node, st.Epoch = wire.JobRunning, "d1", 5 })
				})
			})
			c := connect(t, drivers.Master(), drivers.Security(), plenty)
			var moved []string
			out := make(chan string, 10)
			done := make(chan error, 1)
			go func() {
				done <- c.Logs(t.Context(), wire.JobRef{Incarnation: id}, client.LogOptions{
					Follow: true, Moved: func(node string) { moved = append(moved, node) },
				}, writer(func(b []byte) { out <- string(b) }))
			}()
			if got := <-out; got != "first\n" {
				t.Fatalf("read %q", got)
			}
			asked := make(chan struct{}, 100)
			drivers.Asked(func() { asked <- struct{}{} })
			drivers.Lead("d3") // d1 is there and ends the log; the job has no process yet
			for range 3 {      // it asks how the job is, again and again
				select {
				case <-asked:
				case err := <-done:
					t.Fatalf("it ended while the job runs: %v", err)
				}
			}
			drivers.Asked(nil)
			drivers.Lead(next)
			drivers.Update(id, func(st *wire.JobStatus) { st.Node, st.Epoch = next, 9 })
			drivers.Log(id, next, "second\n")
			for got := ""; !strings.HasSuffix(got, "second\n"); got = <-out {
				if next != "d1" && strings.Contains(got, "first") {
					t.Error("what was read comes again")
				}
			}
			drivers.Update(id, func(st *wire.JobStatus) { st.State = wire.JobFinished })
			if err := <-done; err != nil || moved[len(moved)-1] != next {
				t.Errorf("logs of %v ended with %v", moved, err)
			}
			if n := len(out); n > 0 {
				t.Errorf("%d pieces more: %q", n, <-out)
			}
		})
	}
}

// writer is a function that takes what is written.
type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestOverview(t *testing.T) {
	drivers := clienttest.New(t, 3)
	drivers.Kill("d3")
	first := strings.SplitN(drivers.Master(), ",", 2)[0]
	views := connect(t, first, drivers.Security(), plenty).Overview(t.Context())
	answered := 0
	for _, v := range views {
		if v.Status != nil {
			answered++
		} else if v.Err == nil || !strings.Contains(v.Err.Error(), "connection refused") {
			t.Errorf("%s says %v", v.Address, v.Err)
		}
	}
	if len(views) != 3 || answered != 2 {
		t.Errorf("%d drivers, of which %d answer; expected 3 and 2", len(views), answered)
	}
}
