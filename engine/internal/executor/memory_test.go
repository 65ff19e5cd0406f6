package executor

import (
	"testing"
	"testing/fstest"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// root returns the root directory of a machine with 16,000 MB and the given files.
func root(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{"proc/meminfo": {Data: []byte("MemFree:         1000 kB\nMemTotal:       16384000 kB\n")}}
	for name, data := range files {
		fs[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return fs
}

func TestMemoryHere(t *testing.T) {
	const mb = 1 << 20
	for name, tt := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no control group": {nil, 16000 * mb},
		"version 2": {map[string]string{
			"proc/self/cgroup":                       "0::/jobs/a\n",
			"sys/fs/cgroup/jobs/a/memory.max":        "4194304000\n",
			"sys/fs/cgroup/other/memory.max":         "1\n",
			"sys/fs/cgroup/jobs/a/memory.swap.max":   "1\n",
			"sys/fs/cgroup/jobs/a/child/memory.max":  "1\n",
			"sys/fs/cgroup/jobs/memory.max":          "max\n",
			"sys/fs/cgroup/jobs/memory.limit_in_byt": "1\n",
		}, 4000 * mb},
		"version 2, a group above": {map[string]string{
			"proc/self/cgroup":                "0::/jobs/a\n",
			"sys/fs/cgroup/jobs/a/memory.max": "max\n",
			"sys/fs/cgroup/jobs/memory.max":   "1048576000\n",
		}, 1000 * mb},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "2097152000\n",
		}, 2000 * mb},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/b\n4:memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3145728000\n",
			"sys/fs/cgroup/memory/b/memory.limit_in_bytes": "1\n",
		}, 3000 * mb},
		"version 1, the host's path": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/0123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "3145728000\n",
		}, 3000 * mb},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 16000 * mb},
		"a limit above the machine's": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "99999999999999\n",
		}, 16000 * mb},
	} {
		if got := memoryHere(root(tt.files)); got != tt.want {
			t.Errorf("%s: %d MB, not %d", name, got/mb, tt.want/mb)
		}
	}
	if got := memoryHere(fstest.MapFS{}); got != unknown {
		t.Errorf("without /proc: %d", got)
	}
}

func TestMemoryOf(t *testing.T) {
	const mb = 1 << 20
	set := func(bytes int64) plan.Settings { return plan.Settings{ExecutorMemory: bytes} }
	for name, tt := range map[string]struct {
		s    plan.Settings
		n    int
		want Memory
	}{
		"a machine's":           {set(0), 1, Memory{9600 * mb, 14400 * mb}},
		"not known to be alone": {set(0), 0, Memory{9600 * mb, 14400 * mb}},
		"one of four":           {set(0), 4, Memory{2400 * mb, 3600 * mb}},
		"set":                   {set(1024 * mb), 4, Memory{1024 * mb, 1408 * mb}},
		"set, little":           {set(mb), 1, Memory{mb, leastHeap}},
		"set, more than fits":   {set(32000 * mb), 1, Memory{32000 * mb, 36000 * mb}},
	} {
		if got := MemoryOf(tt.s, root(nil), tt.n); got != tt.want {
			t.Errorf("%s: %+v, not %+v", name, got, tt.want)
		}
	}
}
