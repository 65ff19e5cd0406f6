package kafka

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
)

// badLog says in a process's log that bad records are left out: the first at once,
// then how many more and which was the last, every remindAfter at most.
//
// THREADING: mu guards all but log and letters. It is held over the lines, so that
// they come in order.
type badLog struct {
	log     *slog.Logger
	letters string // their topic, if there is one

	mu      sync.Mutex
	told    time.Time
	records int64 // not told yet
	last    []any // where the last of them was, and why
}

// remindAfter is the time between two lines about bad records.
const remindAfter = 30 * time.Second

// log notes a bad record that was left out. The process's log of the policy says at
// its end what it hasn't said yet.
func (p BadRecords) log(process *task.Process, log *slog.Logger, b badRecord) {
	l, err := process.Resource(p, func() (any, func() error, error) {
		l := &badLog{log: log, letters: p.topic}
		return l, func() error { l.close(); return nil }, nil
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
	l.log.Warn("kafka: bad records are left out; the last of them is named", attrs...)
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
