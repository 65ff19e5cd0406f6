package process

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/role"
)

// reapEnv makes TestReaperDaemon a daemon with a reaper.
const reapEnv = "HIBANA_TEST_REAPER"

// What a process has started ends with it, also in a session of its own and when its
// parent is gone; the other processes of the daemon go on. The daemon is a process of
// its own, since a test's has other children.
func TestReaper(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestReaperDaemon$", "-test.v")
	cmd.Env = append(os.Environ(), reapEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestReaperDaemon")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReaperDaemon is the daemon of TestReaper.
func TestReaperDaemon(t *testing.T) {
	if os.Getenv(reapEnv) == "" || os.Getenv(role.Env) != "" {
		return
	}
	r, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	run := func(script string) (string, Exit) {
		var out bytes.Buffer
		s := shell(script, &out)
		s.Env, s.Reaper = Environ(nil), r
		exit, err := Run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return out.String(), exit
	}
	// One process of the daemon runs all along, with a child in a session of its own.
	other := newFirstLine()
	long := shell(`setsid sleep 600 & echo $!; cat <&3; wait`, other)
	long.Env, long.Reaper, long.Stop = Environ(nil), r, make(chan struct{})
	stop := make(chan struct{})
	long.Stop = stop
	ended := make(chan error, 1)
	go func() { _, err := Run(t.Context(), long); ended <- err }()
	spared, err := strconv.Atoi(<-other.line)
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"in a session":         `setsid sleep 600 >/dev/null 2>&1 & echo $!`,
		"its parent is gone":   `setsid sh -c 'setsid sleep 600 >/dev/null 2>&1 & echo $!' & wait`,
		"without environment":  `setsid env -i sleep 600 >/dev/null 2>&1 & echo $!`,
		"one in the other":     `setsid sh -c 'echo $$; setsid sh -c "echo \$\$; sleep 600; true"; true' & sleep 0.2`,
		"it forks without end": `setsid sh -c 'while :; do sleep 600 & done' >/dev/null 2>&1 & echo $!; sleep 0.2`,
		"it is killed":         `setsid sleep 600 >/dev/null 2>&1 & echo $!; kill -9 $$`,
	} {
		out, _ := run(script)
		for _, line := range strings.Fields(out) {
			pid, err := strconv.Atoi(line)
			if err != nil || pid == 0 {
				t.Fatalf("%s: it printed %q", name, out)
			}
			if alive(pid) {
				t.Errorf("%s: process %d is left", name, pid)
			}
		}
		if out == "" {
			t.Errorf("%s: it printed nothing", name)
		}
	}
	if !alive(spared) {
		t.Error("what another process has started was ended too")
	}
	close(stop)
	if err := <-ended; err != nil || alive(spared) {
		t.Errorf("the other process: %v; what it has started is left: %t", err, alive(spared))
	}
}
