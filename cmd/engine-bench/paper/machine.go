package paper

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine describes this machine in a line, as far as the system tells.
func Machine() string {
	model := field("/proc/cpuinfo", "model name")
	if model == "" {
		model = runtime.GOARCH
	}
	s := fmt.Sprintf("%s, %d cores", model, runtime.NumCPU())
	var kib int64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kib); err == nil {
		s += fmt.Sprintf(", %d GiB", (kib+1<<19)>>20)
	}
	return fmt.Sprintf("%s, %s, %s", s, runtime.GOOS, runtime.Version())
}

// field returns the first value of a name in a file of lines "name: value".
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if n, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
