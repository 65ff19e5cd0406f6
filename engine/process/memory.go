package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// outOfMemory returns how many processes the kernel has killed for want of memory: those
// of this process's cgroup, in which jobs' processes are too, or of the machine where
// the cgroup doesn't count them; 0 where nobody says.
func outOfMemory() int {
	own, _ := os.ReadFile("/proc/self/cgroup") // there may be none
	for _, path := range memoryFiles("/sys/fs/cgroup", string(own)) {
		if kills, ok := oomKills(path); ok {
			return kills
		}
	}
	kills, _ := oomKills("/proc/vmstat")
	return kills
}

// memoryFiles lists where a process's cgroup may count, of both versions of cgroups. own
// is what the kernel says of the process's cgroups; within a container the paths in it
// may begin at the container's own cgroup or above it.
func memoryFiles(root, own string) (paths []string) {
	for line := range strings.Lines(own) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			paths = append(paths, filepath.Join(root, path, "memory.events"), filepath.Join(root, "memory.events"))
		case controllers == "memory":
			paths = append(paths, filepath.Join(root, "memory", path, "memory.oom_control"), filepath.Join(root, "memory", "memory.oom_control"))
		}
	}
	return paths
}

// oomKills reads the count of a file.
func oomKills(path string) (kills int, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(b) {
		if n, found := bytes.CutPrefix(line, []byte("oom_kill ")); found {
			kills, err = strconv.Atoi(string(bytes.TrimSpace(n)))
			return kills, err == nil
		}
	}
	return 0, false
}
