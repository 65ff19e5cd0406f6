package executor

import (
	"bufio"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// Memory is how much memory an executor takes, in bytes.
type Memory struct {
	Blocks int64 // for blocks and for what tasks collect
	Heap   int64 // what the garbage collector holds the whole process to
}

// Parts of the memory that a process may have, and what is assumed where that can't be
// told.
const (
	blocksPart = 0.6
	heapPart   = 0.9
	unknown    = 2 << 30
)

// leastHeap is what a process is held to at least, if its program says how much blocks
// take: models and the program's own data aren't blocks.
const leastHeap = 768 << 20

// MemoryOf returns the memory of one of so many processes on a machine, whose root
// directory is root. What a program set counts; else it is a part of the machine's, or
// of the control group's if that is limited, divided by the processes.
func MemoryOf(s plan.Settings, root fs.FS, processes int) Memory {
	has := float64(memoryHere(root)) / float64(max(1, processes))
	m := Memory{Blocks: int64(has * blocksPart), Heap: int64(has * heapPart)}
	if s.ExecutorMemory > 0 {
		m.Blocks = s.ExecutorMemory
		m.Heap = min(m.Heap, max(leastHeap, m.Blocks+m.Blocks/4+128<<20))
		m.Heap = max(m.Heap, m.Blocks+m.Blocks/8) // the program's word counts
	}
	return m
}

// LimitHeap makes the garbage collector hold the process to its memory, unless
// GOMEMLIMIT did. Without it the heap could grow to twice what is in use.
func (m Memory) LimitHeap() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(m.Heap)
	}
}

// memoryHere returns how much memory a process may have: the smaller of the machine's and
// the limits of its control groups.
func memoryHere(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	if n, ok := machineMemory(root); ok {
		least = n
	}
	for _, file := range limitFiles(root) {
		if b, err := fs.ReadFile(root, file); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 { // "max" is none
				least = min(least, n)
			}
		}
	}
	if least > math.MaxInt64/2 { // version 1 says so if there is no limit
		return unknown
	}
	return least
}

// machineMemory returns the machine's memory.
func machineMemory(root fs.FS) (int64, bool) {
	f, err := root.Open("proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) >= 2 && words[0] == "MemTotal:" {
			kb, err := strconv.ParseInt(words[1], 10, 64)
			return kb << 10, err == nil && kb > 0
		}
	}
	return 0, false
}

// limitFiles returns the files that may hold limits of the process's control group and of
// those above it, of both versions of control groups. Within a container the group's path
// may be the host's, which isn't there; its limit is at the top then.
func limitFiles(root fs.FS) (files []string) {
	const v1, v2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"
	b, _ := fs.ReadFile(root, "proc/self/cgroup") // without one there is the top
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(parts) != 3 {
			continue
		}
		top, name := v2, "memory.max"
		if parts[1] != "" {
			top, name = v1, "memory.limit_in_bytes"
		}
		if parts[1] != "" && !strings.Contains(","+parts[1]+",", ",memory,") {
			continue
		}
		for dir := path.Clean("/" + parts[2]); dir != "/"; dir = path.Dir(dir) {
			files = append(files, top+dir+"/"+name)
		}
	}
	return append(files, v2+"/memory.max", v1+"/memory.limit_in_bytes")
}
