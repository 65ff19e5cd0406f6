package minicluster

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes a daemon die with this process, so that a test that is
// killed leaves none behind; a terminal's Ctrl-C isn't for it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
