package remote

import (
	"maps"
	"slices"
	"sync"
)

// attendance says how many executors are expected, how many take tasks and which can't
// build the program, and wakes those who wait for more of them.
//
// THREADING: mu guards all but changed, whose lock is the only one that is taken meanwhile.
type attendance struct {
	mu       sync.Mutex
	expected int
	able     int               // that could take them; with a limit of slots more than are expected
	ready    int               // streams to executors that have built the program
	refused  map[string]string // why, by executor
	refusals int
	changed  signal // an executor has come, gone or answered
}

// maxRefusals is how often in all executors may say that they can't build the
// program before the job is given up, if none of them can.
const maxRefusals = 3

func newAttendance() *attendance {
	return &attendance{refused: make(map[string]string)}
}

// expect says how many executors should take tasks, and how many could.
func (a *attendance) expect(n, able int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expected, a.able = n, able
	a.changed.wake()
}

// accept notes that an executor has built the program, maybe after all, until leave.
func (a *attendance) accept(executor string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.refused, executor)
	a.ready++
}

// leave ends what accept began.
func (a *attendance) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready--
}

// refuse notes that an executor can't build the program. It reports whether none
// can, and which couldn't. Some of these may be gone, so that one that can counts more.
func (a *attendance) refuse(executor, reason string) (hopeless bool, refused []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[executor] = reason
	a.refusals++
	a.changed.wake()
	return a.refusals >= maxRefusals && a.ready == 0 && len(a.refused) >= a.able, slices.Sorted(maps.Keys(a.refused))
}

// isComplete reports whether those who are ready and those who refuse are as many
// as are expected.
func (a *attendance) isComplete(ready int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.expected > 0 && ready+len(a.refused) >= a.expected
}
