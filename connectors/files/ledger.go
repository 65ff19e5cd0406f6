package files

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/rdd/files"
)

// ledger knows which files of a directory were read and which wait. It does no I/O.
//
// What a later driver has to know of it is bounded, and lies in the allocations: the files
// that were read and were modified last, by id, and a time. What was modified before that time
// and isn't known counts as read. The time is never later than the modification of a file that
// waits: so none that was seen is lost, and what was modified at one time is forgotten together.
type ledger struct {
	remember int  // how many files that were read are known
	settles  bool // a file waits until it was the same in two looks
	closed   bool // what wasn't there at the last look is of no interest

	waiting map[string]*waiting // by name
	read    map[id]*mark
	before  int64 // unknown files that were modified before, in nanoseconds since 1970, count as read
	total   int64 // files that were read

	passed map[id]bool // those that the last look took for read since they are older than before, nil if there was none
	older  int64       // how many they were
}

// id stands for a file's name.
type id uint64

func idOf(name string) id {
	sum := sha256.Sum256([]byte(name))
	return id(binary.BigEndian.Uint64(sum[:]))
}

// mark is what is known of a file that was read.
type mark struct {
	modified int64
	size     int64 // when it was planned, 0 if this driver doesn't know
	gone     bool  // it wasn't there at the last look
}

// waiting is a file that wasn't read.
type waiting struct {
	size, modified int64
	settled        bool
}

// newLedger returns the ledger that goes on behind a batch.
func newLedger(remember int, settles bool, r ranges) *ledger {
	l := &ledger{
		remember: remember, settles: settles, waiting: make(map[string]*waiting), read: make(map[id]*mark, len(r.read)),
		before: r.before, total: r.total, older: r.passed,
	}
	for i, t := range r.read {
		l.read[i] = &mark{modified: t}
	}
	for _, f := range r.files {
		if m := l.read[idOf(f.name)]; m != nil {
			m.size = f.size
		}
	}
	return l
}

// remarks are what a look found that won't be read.
type remarks struct {
	changed []change // files that were changed after they were planned
	late    []string // files that came with a time before that of files that are forgotten
	unknown int64    // how many such files may have come before the first look
}

// change is what became of a file that was planned.
type change struct {
	name      string
	had, size int64 // had is 0 if this driver doesn't know
}

// look takes in what the directory holds.
func (l *ledger) look(found []files.Found) (r remarks) {
	still, passed, there := make(map[string]*waiting), make(map[id]bool), make(map[id]bool, len(l.read))
	for _, f := range found {
		i, modified := idOf(f.Name), f.Modified.UnixNano()
		w, known := l.waiting[f.Name], l.read[i]
		switch {
		case w == nil && known != nil && (!known.gone || known.modified == modified):
			if there[i] = true; known.modified != modified || known.size > 0 && known.size != f.Size {
				r.changed = append(r.changed, change{f.Name, known.size, f.Size})
				known.modified, known.size = modified, f.Size
			}
		case f.Size == 0, w == nil && l.closed: // there is nothing to read, yet
		case w == nil && known == nil && modified < l.before:
			if passed[i] = true; l.passed != nil && !l.passed[i] {
				r.late = append(r.late, f.Name)
			}
		default:
			same := w != nil && w.size == f.Size && w.modified == modified
			still[f.Name] = &waiting{f.Size, modified, same || !l.settles}
		}
	}
	if l.passed == nil {
		r.unknown = max(0, int64(len(passed))-l.older)
	}
	for i, m := range l.read {
		m.gone = !there[i]
	}
	if l.full() && len(found) > 0 { // else the directory may be one that isn't mounted
		maps.DeleteFunc(l.read, func(_ id, m *mark) bool { return m.gone })
	}
	l.waiting, l.passed, l.older = still, passed, int64(len(passed))
	return r
}

// skip counts all files that wait as read.
func (l *ledger) skip() {
	for name, w := range l.waiting {
		l.read[idOf(name)] = &mark{modified: w.modified}
	}
	clear(l.waiting)
	l.forget()
}

// settled returns the names of files that can be read, those modified first before others.
func (l *ledger) settled() []string {
	var names []string
	for name, w := range l.waiting {
		if w.settled {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(l.waiting[a].modified, l.waiting[b].modified), cmp.Compare(a, b))
	})
	return names
}

// full reports whether no more files may be read: what is remembered may be somewhat more than it
// should, as long as an older file waits or if all were modified at one time. Those that are gone
// are forgotten then.
func (l *ledger) full() bool { return len(l.read) >= 4*l.remember }

// take counts a file that waits as read.
func (l *ledger) take(name string) file {
	w := l.waiting[name]
	delete(l.waiting, name)
	l.read[idOf(name)] = &mark{modified: w.modified, size: w.size}
	l.total++
	return file{name, w.size}
}

// forget forgets files that were read, those modified first, if they are more than are to be
// remembered.
func (l *ledger) forget() {
	if len(l.read) <= l.remember {
		return
	}
	times := make([]int64, 0, len(l.read))
	for _, m := range l.read {
		times = append(times, m.modified)
	}
	slices.Sort(times)
	before := times[len(times)-l.remember]
	for _, w := range l.waiting {
		before = min(before, w.modified)
	}
	if before <= l.before {
		return
	}
	l.before = before
	for i, m := range l.read {
		if m.modified >= before {
			continue
		}
		if delete(l.read, i); !m.gone && l.passed != nil && !l.passed[i] {
			l.passed[i] = true
			l.older++
		}
	}
}

// ranges returns what a batch is told that reads the given files.
func (l *ledger) ranges(list []file) ranges {
	r := ranges{files: list, read: make(map[id]int64, len(l.read)), before: l.before, passed: l.older, total: l.total}
	for i, m := range l.read {
		r.read[i] = m.modified
	}
	return r
}
