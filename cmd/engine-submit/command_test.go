package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// TestCommandLines reads as a table: command line, exit code, what it says.
func TestCommandLines(t *testing.T) {
	drivers := cluster(t)
	running := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, Node: "d1", Reason: "the driver process ended with exit status 2; the last it wrote:\npanic", Spec: wire.JobSpec{Name: "words", Submission: "nightly", Args: []string{"--x"}}})
	drivers.AddJob(wire.JobStatus{State: wire.JobFailed, Reason: "it is broken", Spec: wire.JobSpec{Name: "broken"}})
	drivers.AddJob(wire.JobStatus{
		State: wire.JobRunning, Reason: "executor e1: exit status 3; the last it wrote:\npanic", ReasonOn: "e1", Spec: wire.JobSpec{Name: "troubled"},
		Trouble: "no executor takes tasks:\nat all", TroubleOn: "e2", MaxSlots: 3,
		Executors: []wire.ExecutorProcess{{Executor: "e1", Address: "127.0.0.1:2", Slots: 3, Of: 8}, {Executor: "e3", Address: "127.0.0.1:3", Of: 8}},
	})
	drivers.AddJob(wire.JobStatus{
		State: wire.JobRunning, Kind: wire.KindBatch, Spec: wire.JobSpec{Name: "rank"}, Progress: wire.Progress{Records: 1200, Program: &wire.ProgramProgress{
			Step: 3, At: "collect at main.go:9", Tasks: 7, Failed: 1, Actions: 2, StagesRun: 4, Shuffled: 2048, Bad: 3,
			Stages: []wire.StageProgress{{Name: "reduceByKey at main.go:8", Tasks: 4, Done: 2, Running: 1}},
		}},
	})
	drivers.AddJob(wire.JobStatus{State: wire.JobFinished, Kind: wire.KindBatch, Spec: wire.JobSpec{Name: "ranked"}, Submitted: 1e9, Ended: 4.5e9})
	drivers.AddJob(wire.JobStatus{State: wire.JobFinished, Left: true, Spec: wire.JobSpec{Name: "went", Args: []string{"--y"}, Resume: 6, Origin: 5}})
	drivers.Log(running, "d1", "hello from the driver\n")
	drivers.Executors(
		wire.ExecutorStatus{ID: "e1", Address: "127.0.0.1:1", Slots: 2, Used: 3, Platform: "linux/amd64", Alive: true},
		wire.ExecutorStatus{ID: "e2", Slots: 4},
	)
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(drivers.Token), 0o644); err != nil {
		t.Fatal(err)
	}
	path, empty := program(t), filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	drivers.AddJob(wire.JobStatus{State: wire.JobFinished, Resumed: 16, Spec: wire.JobSpec{Name: "before"}})
	t.Chdir(t.TempDir()) // where directories have the names of jobs, or of a log
	if err := errors.Join(os.Mkdir("words", 0o700), os.Mkdir("saved", 0o700), dirlog.Write("saved", &batchlog.State{}, 1)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args string
		code int
		out  string // on standard output
		err  string // on standard error
	}{
		{"--help", exitOK, "Examples:", ""},
		{"-h", exitOK, "JOB=$(engine-submit", ""},
		{"list --help", exitOK, "engine-submit list --master", ""},
		{"status -h", exitOK, "engine-submit status --master", ""},
		{"logs -h", exitOK, "engine-submit logs --executor e1", ""},
		{"kill -h", exitOK, "engine-submit kill --graceful 12", ""},
		{"model -h", exitOK, "engine-submit model 12 mnist-cnn --rollback", ""},
		{"plan -h", exitOK, "engine-submit plan /var/lib/orders/checkpoint ./orders-2", ""},
		{"state -h", exitOK, "engine-submit state orders sums de", ""},
		{"offsets -h", exitOK, "engine-submit offsets --program ./orders 12", ""},
		{"forget -h", exitOK, "engine-submit forget --master", ""},
		{"submit -h", exitOK, "engine-submit submit --resume orders ./orders-2", ""},
		{"submit", exitUsage, "", "name a program to submit"},
		{"--detach submit " + path, exitUsage, "", "submit stands first"},
		{"submit --allow-non-restored-state " + path, exitUsage, "", "goes with --resume"},
		{"submit --resume nobody " + path, exitFailed, "", "no such job"},
		{"plan", exitUsage, "", "JOB or DIR is missing"},
		{"plan words", exitUsage, "", "PROGRAM is missing"},
		{"plan words ./nowhere -- --x", exitUsage, "", "no program ./nowhere; build it first"},
		{"plan words " + path, exitFailed, "", "exec format error"},
		{"plan words /bin/echo -- --x y", exitOK, " --plan --x y\n", ""},
		{"plan --allow-non-restored-state words /bin/echo", exitOK, " --plan --allow-non-restored-state\n", ""},
		{"plan words /bin/false", exitFailed, "", ""},
		{"plan broken /bin/echo", exitFailed, "", "isn't there any more"},
		{"plan words /bin/echo", exitOK, "/hibana-log-", ""}, // not the directory words
		{"plan saved /bin/echo -- --x", exitOK, "--checkpoint saved --plan --x\n", ""},
		{"plan ./saved /bin/echo", exitOK, "--checkpoint ./saved --plan\n", ""},
		{"plan ./words /bin/echo", exitUsage, "", "there is no batch log in ./words"},
		{"state words", exitUsage, "", "NAME is missing"},
		{"state words s k 1", exitUsage, "", "unexpected argument \"1\""},
		{"state words s de", exitOK, "s de\n", "job 11, as of batch 7"},
		{"state words t", exitFailed, "", "it has s"},
		{"state broken s", exitFailed, "", "engine-submit state 12 s --program PROGRAM"},
		{"state broken s de --program /bin/echo", exitOK, "--state s --state-key de --state-job 12\n", ""},
		{"state went s --program /bin/echo", exitOK, "--y --state s --state-key  --state-job 5\n", ""},
		{"state before s --program ./p", exitFailed, "", "job 17 was resumed as job 16, which saves its states in the same place: engine-submit state --program ./p 16 s"},
		{"offsets words", exitOK, " \n", "as of batch 7"},
		{"offsets broken", exitFailed, "", "engine-submit offsets 12 --program PROGRAM"},
		{"offsets --program /bin/echo went", exitOK, " --offsets --y\n", ""},
		{"status went", exitOK, "submit --resume 16 goes on from it", ""},
		{"forget words", exitFailed, "", "job 11 is running, so that it needs its log"},
		{"forget went", exitOK, "", "job 16 can't be resumed any more"},
		{"offsets --program /bin/echo went", exitFailed, "", "isn't there any more"},
		{"cluster -h", exitOK, "engine-submit cluster --master", ""},
		{"certs -h", exitOK, "engine-submit certs ./certs --host", ""},
		{"", exitUsage, "", "name a program to submit, or one of list, status"},
		{"--master foo:99999 list", exitUsage, "", "--master: address \"foo:99999\": 99999 is no port"},
		{"--nonsense x", exitUsage, "", "unknown flag --nonsense; see --help; the program's own flags stand behind it: engine-submit PROGRAM -- FLAG …"},
		{"--mastr x list", exitUsage, "", "unknown flag --mastr; did you mean --master? See --help; the program's own"},
		{"logs --folow words", exitUsage, "", "unknown flag --folow; did you mean --follow? See --help\n"},
		{"stauts", exitUsage, "", `no program of that name here (did you mean status?); the commands are list, status`},
		{"submti", exitUsage, "", `no program of that name here (did you mean submit?)`},
		{"excutor", exitUsage, "", `(did you mean executor?)`},
		{path + " --version", exitUsage, "", "run the program by itself: " + path + " --version"},
		{path + " --detach -- --images 5", exitUsage, "", "flags of engine-submit stand before the program: engine-submit --detach"},
		{"--patience -1s list", exitUsage, "", "--patience -1s is not above 0"},
		{"--master localhost list", exitUsage, "", "it takes host:port"},
		{"--master 10.1.2.3:7077 list", exitFailed, "", "takes mutual TLS"},
		{"--token-file " + dir + "/none list", exitFailed, "", "reading the token file " + dir + "/none: file does not exist; the daemons"},
		{"--token-file " + open + " list", exitFailed, "", "mode 0644, so that others may read it; run chmod 600"},
		{"--master 127.0.0.1:1 --patience 10ms list", exitUnknown, "", "no engine-driver answers; check the addresses"},
		{"--master 127.0.0.1:1 cluster", exitUnknown, "", "connection refused"},
		{path + "-none", exitFailed, "", "wordcount-none: no such file"},
		{dir, exitUsage, "", "is a directory, not a program; build it first: CGO_ENABLED=0 go build"},
		{path + " -- --help", exitUsage, "", "run the program by itself: " + path + " --help"},
		{path + " -h", exitUsage, "", "run the program by itself: " + path + " -h"},
		{empty, exitFailed, "", "the binary can't be used: " + empty + " is empty"},
		{"--submission 17 " + path, exitUsage, "", `wrong use: submission id "17" would be taken for a flag or a job's number`},
		{"frobnicate", exitUsage, "", `there is no command "frobnicate" and no program of that name here; the commands are list, status`},
		{"help", exitOK, "JOB=$(engine-submit", ""},
		{"help submit", exitOK, "JOB=$(engine-submit", ""},
		{"help kill", exitOK, "engine-submit kill --graceful 12", ""},
		{"help help", exitOK, "engine-submit help kill", ""},
		{"--master x help kill", exitOK, "engine-submit kill --graceful 12", ""},
		{"help kil", exitUsage, "", `there is no command "kil" (did you mean kill?); see --help`},
		{"help kill 12", exitUsage, "", `unexpected argument "12"`},
		{"--version", exitOK, "engine-submit: ", ""},
		{"-version", exitOK, ", go1.", ""},
		{"submit --version", exitOK, "engine-submit: ", ""},
		{"list --version", exitUsage, "", "unknown flag --version"},
		{"list", exitOK, "words     -      running", ""},
		{"list", exitOK, "rank      batch  running   -                    -     step 3   -        -", ""},
		{"list", exitOK, "3.5s  -        -        -", ""},
		{"list", exitOK, "2          3/16   ", "slots: 2 in all, 3 used, 0 free\n"},
		{"status troubled", exitOK, "slots         3/16, at most 3\nexecutor      e1 at 127.0.0.1:2, 3 of 8 slots\nexecutor      e3 at 127.0.0.1:3, stands by\n", ""},
		{"status words", exitOK, "slots         -\n", ""},
		{"cluster", exitOK, "e1        127.0.0.1:1  2      3     0     linux/amd64  alive\n", ""},
		{"--max-slots 0 " + path, exitUsage, "", "it takes a number from 1 on"},
		{"--max-slots many " + path, exitUsage, "", "it takes a number from 1 on"},
		{"status rank", exitOK, "kind         batch\n", ""},
		{"status rank", exitOK, "step         3, collect at main.go:9\nstage        reduceByKey at main.go:8 [==========          ] (2 + 1) / 4\n" +
			"this driver  3 steps, 7 tasks in 4 stages of 2 actions, 1 attempts failed, 1,200 records read, 3 bad ones left out, 2.0 KiB shuffled\n", ""},
		{"status ranked", exitOK, "state       finished\nkind        batch\n", ""},
		{"status ranked", exitOK, ", after 3.5s\n", ""},
		{"list x", exitUsage, "", `unexpected argument "x"`},
		{"status", exitUsage, "", "JOB is missing"},
		{"status a/b", exitFailed, "", `no such job: none has the submission id or the name "a/b"` + "\n"},
		{"status wrods", exitFailed, "", `no such job: none has the submission id or the name "wrods" (did you mean words?)`},
		{"kill nihgtly", exitFailed, "", `(did you mean nightly?)`},
		{"status words", exitOK, "job           11\n", ""},
		{"status 11", exitOK, "last trouble  the driver process ended with exit status 2; see engine-submit logs 11\n", ""},
		{"status troubled", exitOK, "trouble       no executor takes tasks:\n              at all; see engine-submit logs 13 --executor e2\n", ""},
		{"status troubled", exitOK, "last trouble  executor e1: exit status 3; see engine-submit logs 13 --executor e1\n", ""},
		{"list", exitOK, "  no executor takes tasks\n", ""},
		{"logs words", exitOK, "hello from the driver\n", ""},
		{"status 99", exitFailed, "", "asking for job 99: no such job"},
		{"status nightly", exitOK, "arguments     --x", ""},
		{"status 12", exitFailed, "reason      it is broken", ""},
		{"logs 11", exitOK, "hello from the driver\n", "the log on d1"},
		{"logs 11 --tail 7", exitOK, "driver\n", ""},
		{"logs --tail -7 11", exitUsage, "", "--tail -7 is below 0"},
		{"logs --executor e9 11", exitFailed, "", `there is no executor "e9"; there are [e1 e2]`},
		{"logs --executor e1 --driver d1 11", exitUsage, "", "not both"},
		{"model 11 m", exitUsage, "", "FILE is missing"},
		{"model 11 m --rollback x", exitUsage, "", `unexpected argument "x"`},
		{"model 11 m x --version 12", exitUsage, "", "--version goes with --rollback"},
		{"model a/b m x", exitFailed, "", "no such job"},
		{"model 11 m " + dir + "/none", exitFailed, "", "none: no such file"},
		{"model 11 m " + empty, exitFailed, "", "the version is refused: " + empty + " is empty"},
		{"model 11 m " + dir, exitFailed, "", "is a directory, not a version's file"},
		{"model 11 m " + path, exitOK, "m of 524288 bytes\n", "batches are planned with version m of 524288"},
		{"model 11 m --rollback --version 12ab", exitOK, "back to 12ab\n", ""},
		{"model 11 other " + path, exitFailed, "", "model other of job 11: the version is refused: there is no model other"},
		{"model 12 m --rollback", exitFailed, "", "the job has ended"},
		{"model 99 m --rollback", exitFailed, "", "no such job"},
		{"cluster", exitOK, "silent; engine-submit executor forget e2, if it is gone for good\n", ""},
		{"executor -h", exitOK, "engine-submit executor forget e1", ""},
		{"executor", exitUsage, "", "drain|forget is missing"},
		{"executor pause e1", exitUsage, "", "there are drain and forget; see --help"},
		{"executor darin e1", exitUsage, "", "there are drain and forget (did you mean drain?); see --help"},
		{"executor forget e2 --force", exitUsage, "", "--force goes with drain"},
		{"executor forget e9", exitFailed, "", `forgetting executor e9: invalid request: there is no executor "e9"`},
		{"executor forget e1", exitFailed, "", `executor "e1" is there`},
		{"executor forget e2", exitOK, "", "executor e2 is forgotten"},
		{"executor drain e1", exitFailed, "", "e1 is the last executor"},
		{"executor drain e1 --force", exitOK, "", "executor e1 is drained"},
		{"executor drain e1 --force", exitOK, "", "executor e1 had been drained before"},
		{"cluster", exitOK, "drained\n", ""},
		{"kill broken", exitOK, "", "job 12 has failed already; there is nothing to end"},
		{"kill ranked", exitOK, "", "job 15 has finished already, at " + clock(4.5e9) + "; there is nothing to end"},
		{"kill 11", exitOK, "", "job 11 is killed"},
		{"kill --graceful 11", exitOK, "", "job 11 was killed already; there is nothing to end"},
		{"status --master " + drivers.Master() + " 11", exitFailed, "reason      killed by a user", ""},
		{"--detach --max-slots 3 " + path, exitOK, "18\n", ""},
		{"status 18", exitOK, "slots       -, at most 3\n", ""},
	} {
		t.Run(x.args, func(t *testing.T) {
			s := around(0)
			if code := run(&s.process, strings.Fields(x.args)); code != x.code {
				t.Errorf("exit code %d, expected %d", code, x.code)
			}
			if out := s.out.String(); !strings.Contains(out, x.out) || x.out == "" && out != "" {
				t.Errorf("stdout %q, expected %q", out, x.out)
			}
			if err := s.err.String(); !strings.Contains(err, x.err) {
				t.Errorf("stderr %q, expected %q", err, x.err)
			}
		})
	}
}

func TestNoMaster(t *testing.T) {
	t.Setenv(masterEnv, "")
	path := program(t)
	for args, says := range map[string]string{
		"list":                        "--master 127.0.0.1:7077,",
		path:                          "--master 127.0.0.1:7077,",
		path + " --master 10.1.2.3:1": "--master stands before the program: engine-submit --master … " + path + "; there it is engine-submit's",
		path + " -- -master=10.1.2.3:1 --images 5": "engine-submit -master=10.1.2.3:1 … " + path,
	} {
		s := around(0)
		if code := run(&s.process, strings.Fields(args)); code != exitUsage || !strings.Contains(s.err.String(), says) {
			t.Errorf("%s: exit code %d: %s", args, code, s.err.String())
		}
	}
}

// What is wrong with the addresses is said with where they come from, and before it matters that
// there is no token on this machine.
func TestWrongMaster(t *testing.T) {
	t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(t.TempDir(), "none"))
	for _, x := range []struct {
		master, args string
		code         int
		says         string
	}{
		{"foo:99999", "list", exitUsage, masterEnv + `: address "foo:99999": 99999 is no port`},
		{"", "--master foo list", exitUsage, `--master: address "foo": missing port in address; it takes host:port`},
		{"", "--master , list", exitUsage, "--master: no address of an engine-driver"},
		{"", "--master foo --tls-ca none list", exitUsage, `--master: address "foo": missing port in address`},
		{"", "--master 10.1.2.3:7077 list", exitFailed, "takes mutual TLS"},
		{"", "--master 127.0.0.1:7077 list", exitFailed, "reading the token file "},
	} {
		t.Setenv(masterEnv, x.master)
		s := around(0)
		if code := run(&s.process, strings.Fields(x.args)); code != x.code || !strings.Contains(s.err.String(), x.says) {
			t.Errorf("%s %s: exit code %d: %s", x.master, x.args, code, s.err.String())
		}
	}
}

// What is behind the program is the program's. If that doesn't know it, and engine-submit does, the
// job's end says where it stands.
func TestMisplacedFlag(t *testing.T) {
	s := around(0)
	f := newSubmission(&s.process, &connection{}).flags
	for _, x := range []struct{ args, reason, says string }{
		{"--detach", "wrong use: unknown flag --detach", "--detach stands before the program: engine-submit --detach … words;"},
		{"-name=x --n 3", "the program can't be built:\n  wrong use: unknown flag --name; did you mean --n?\nmore", "engine-submit -name=x … words;"},
		{"--name x --n 3", "wrong use: unknown flag --nam", ""},
		{"--nam x --name 3", "wrong use: unknown flag --nam; did you mean --name?", ""},
		{"--nonsense", "wrong use: unknown flag --nonsense", ""}, // nobody's
		{"--name x", "it is broken", ""},
		{"name", "wrong use: unknown flag --name", ""},
	} {
		got := misplacedFlag(f, "words", strings.Fields(x.args), x.reason)
		if x.says == "" && got != "" || !strings.Contains(got, x.says) {
			t.Errorf("%s: %q, want %q", x.args, got, x.says)
		}
	}
}

// TestRefused asks drivers that take this process for a stranger: waiting would
// be of no use.
func TestRefused(t *testing.T) {
	token := cluster(t).Master()
	dir := t.TempDir()
	own, other := filepath.Join(dir, "own"), filepath.Join(dir, "other")
	for _, d := range []string{own, other} {
		if code := run(&around(0).process, []string{"certs", d}); code != exitOK {
			t.Fatalf("exit code %d", code)
		}
	}
	files := func(ca, cert string) wire.TLSFiles {
		return wire.TLSFiles{CA: ca + "/ca.pem", Cert: cert + "/localhost.pem", Key: cert + "/localhost-key.pem"}
	}
	certified, err := security.LoadTLS(files(own, own))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(certified)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) }) // ends with Stop
	defer serving.Wait()
	defer server.Stop()
	wrong := filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte(security.NewToken()), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := func(f wire.TLSFiles) string {
		return " --patience 1s --tls-ca " + f.CA + " --tls-cert " + f.Cert + " --tls-key " + f.Key
	}
	dead := ",127.0.0.1:1"
	for _, x := range []struct{ name, args, says string }{
		{"a wrong token", "--master " + token + " --token-file " + wrong, "not allowed: "},
		{"another authority", "--master " + l.Addr().String() + dead + flags(files(other, other)), "x509: certificate signed by unknown authority"},
		{"another's certificate", "--master " + l.Addr().String() + flags(files(own, other)), "isn't of the authority in " + own},
	} {
		for _, command := range []string{"list", "cluster", program(t)} {
			t.Run(x.name+"/"+filepath.Base(command), func(t *testing.T) {
				s := around(0)
				code := run(&s.process, append(strings.Fields(x.args), command))
				if err := s.err.String(); code != exitFailed || !strings.Contains(err, x.says) || strings.Contains(err, "check the addresses") {
					t.Errorf("exit code %d: %s", code, err)
				}
			})
		}
	}
}

func TestClusterWithoutALeader(t *testing.T) {
	drivers := cluster(t)
	drivers.Kill("d1")
	drivers.Kill("d2")
	s := around(0)
	code := run(&s.process, []string{"cluster"})
	if out := s.out.String(); code != exitUnknown || !strings.Contains(out, "connection refused") || !strings.Contains(out, "knows of no leader") {
		t.Errorf("exit code %d:\n%s%s", code, out, s.err.String())
	}
}

func TestKillWaits(t *testing.T) {
	drivers := cluster(t)
	id := drivers.AddJob(wire.JobStatus{State: wire.JobRunning})
	s := around(0)
	code := make(chan int, 1)
	go func() { code <- run(&s.process, []string{"kill", "--graceful", "11"}) }()
	s.err.await(t, "job 11 is stopping")
	drivers.Update(id, func(st *wire.JobStatus) { st.State = wire.JobFinished })
	if got := <-code; got != exitOK || !strings.Contains(s.err.String(), "job 11 is finished") {
		t.Errorf("exit code %d: %s", got, s.err.String())
	}
}

func TestFollowedLogsAreInterrupted(t *testing.T) {
	drivers := cluster(t)
	id := drivers.AddJob(wire.JobStatus{State: wire.JobRunning, Node: "d1"})
	drivers.Log(id, "d1", "first\n")
	s := around(0)
	code := make(chan int, 1)
	go func() { code <- run(&s.process, []string{"logs", "--follow", "11"}) }()
	s.out.await(t, "first\n")
	s.signals <- os.Interrupt
	if got := <-code; got != exitInterrupted {
		t.Errorf("exit code %d: %s", got, s.err.String())
	}
}
