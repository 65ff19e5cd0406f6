package minicluster

import (
	"os/exec"
	"syscall"
)

// tieToParent makes a daemon die with this process, so that a test that is
// killed leaves none behind; a terminal's Ctrl-C isn't for it.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
