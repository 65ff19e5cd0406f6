package process

import (
	"os"
	"strconv"
	"syscall"
)

// stderrFD is the last of the descriptors that every process has.
const stderrFD = 2

// sealFiles keeps the descriptors that this process has inherited, from whoever
// started it, from its children. Those that Go opens are sealed by themselves.
func sealFiles() {
	entries, err := os.ReadDir("/dev/fd") // of this process
	if err != nil {
		return // there is no such list here
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > stderrFD {
			syscall.CloseOnExec(fd) // the list's own is closed by now, which does no harm
		}
	}
}
