package kafka

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
)

// badLog says in a process's log that records are left out: the first at once,
// then how many more and which was the last, every remindAfter at most.
//
// THREADING: mu guards all but log, says and letters. It is held over the lines, so that
// they come in order.
type badLog struct {
	log     *slog.Logger
	says    string // of the records
	letters string // the topic of letters about them, if there is one

	mu      sync.Mutex
	told    time.Time
	records int64 // not told yet
	last    []any // where the last of them was, and why
}

// remindAfter is the time between two lines about bad records.
const remindAfter = 30 * time.Second

// log notes a bad record that was left out.
func (p BadRecords) log(process *task.Process, log *slog.Logger, b badRecord) {
	noteLeftOut(process, p, &badLog{log: log, says: "kafka: bad records are left out; the last of them is named", letters: p.topic}, b)
}

// lostKey finds a process's log of records that were deleted before they were read.
type lostKey struct{}

// logLost notes records that were deleted before a task read them: at most as many as there
// are offsets.
func logLost(process *task.Process, log *slog.Logger, b badRecord) {
	l := &badLog{log: log, says: "kafka: records were deleted before they were read, or before they were read again by a batch that is computed again, and are left out; the last of them are named"}
	noteLeftOut(process, lostKey{}, l, b)
}

// newUnplannedLog returns a log of records that were deleted before a batch was to read them.
func newUnplannedLog(log *slog.Logger) *badLog {
	return &badLog{log: log, says: "kafka: records were deleted before they were read, and are left out; the last of them are named"}
}

// noteLeftOut notes records in the process's log that key finds, which begins as first. It says at
// its end what it hasn't said yet.
func noteLeftOut(process *task.Process, key any, first *badLog, b badRecord) {
	l, err := process.Resource(key, func() (any, func() error, error) {
		return first, func() error { first.close(); return nil }, nil
	})
	if err == nil { // else the process ends
		l.(*badLog).note(time.Now(), b)
	}
}

func (l *badLog) note(now time.Time, b badRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records += b.records
	l.last = []any{"topic", b.Topic, "partition", b.Partition, "offset", b.Offset, "reason", clip(b.cause.Error())}
	if l.told.IsZero() || now.Sub(l.told) >= remindAfter {
		l.told = now
		l.tell()
	}
}

// tell is called with mu held.
func (l *badLog) tell() {
	attrs := append([]any{"records", l.records}, l.last...)
	if l.letters != "" {
		attrs = append(attrs, "dead_letter_topic", l.letters)
	}
	l.log.Warn(l.says, attrs...)
	l.records = 0
}

// close says what is left to say.
func (l *badLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records > 0 {
		l.tell()
	}
}
