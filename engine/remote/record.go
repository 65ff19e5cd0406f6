package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// maxRecordMemory is how many bytes of a record are kept in memory; what is older goes to a
// file.
const maxRecordMemory = 16 << 20

// record keeps the invocations that executors which come later must be told of. Each has a
// place in it, as if all were written to one file one after the other; those that are
// forgotten are always the oldest.
//
// THREADING: mu guards all below it. It is held while the file is read and written.
type record struct {
	dir   string // for the file, "" for the system's temporary directory
	limit int    // of bytes in memory

	mu      sync.Mutex
	file    *os.File // nil while all is in memory; it has no name any more
	filled  bool     // the file holds something
	first   int64    // place of the first invocation that isn't forgotten
	written int64    // places before it are in the file
	freed   int64    // places before it take no room on the disk
	end     int64    // place of the next
	recent  []placed // from written on
	bytes   int      // of recent
	kept    int      // invocations that aren't forgotten
	closed  bool
}

// placed is an invocation with its place.
type placed struct {
	*Invoke
	at int64
}

// recordHead is what stands before an invocation in the file: its seq and its length.
const recordHead = 12

// next returns the place of what follows.
func (p placed) next() int64 { return p.at + recordHead + int64(len(p.Invocation)) }

func newRecord(dir string, limit int) *record { return &record{dir: dir, limit: limit} }

// add keeps an invocation. Its error says that there is no room for it.
func (r *record) add(i *Invoke) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := placed{i, r.end}
	r.recent, r.end = append(r.recent, p), p.next()
	r.bytes += len(i.Invocation)
	r.kept++
	if r.bytes <= r.limit {
		return nil
	}
	return r.spill()
}

// spill writes what is in memory. It is called with mu held.
func (r *record) spill() error {
	if r.closed {
		return ErrClosed
	}
	if r.file == nil {
		f, err := os.CreateTemp(r.dir, "hibana-record-*")
		if err != nil {
			return fmt.Errorf("keeping what executors that come later must know: %w", err)
		}
		if err := os.Remove(f.Name()); err != nil { // so it goes with the process
			return errors.Join(fmt.Errorf("keeping what executors that come later must know: %w", err), f.Close())
		}
		r.file = f
	}
	buf := make([]byte, 0, r.end-r.written)
	for _, p := range r.recent {
		buf = binary.BigEndian.AppendUint64(buf, p.Seq)
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p.Invocation)))
		buf = append(buf, p.Invocation...)
	}
	if len(r.recent) > 0 {
		if _, err := r.file.WriteAt(buf, r.recent[0].at); err != nil {
			return fmt.Errorf("keeping what executors that come later must know: %w", err)
		}
	}
	r.recent, r.bytes, r.written, r.filled = nil, 0, r.end, true
	return nil
}

// forget drops the invocations before until.
func (r *record) forget(until uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.first < r.end {
		p, err := r.at(r.first)
		if err != nil {
			return err
		}
		if p.Seq >= until {
			break
		}
		r.first = p.next()
		r.kept--
	}
	n := slices.IndexFunc(r.recent, func(p placed) bool { return p.at >= r.first })
	if n < 0 {
		n = len(r.recent)
	}
	for _, p := range r.recent[:n] {
		r.bytes -= len(p.Invocation)
	}
	r.recent = slices.Delete(r.recent, 0, n)
	if !r.filled {
		return nil
	}
	if r.first >= r.written { // that is all
		r.filled, r.freed = false, r.first
		if err := r.file.Truncate(0); err != nil {
			return fmt.Errorf("dropping what executors needn't know any more: %w", err)
		}
		return nil
	}
	if r.first-r.freed >= freeStep {
		free(r.file, r.freed, r.first-r.freed)
		r.freed = r.first
	}
	return nil
}

// freeStep is after how many bytes that are forgotten their room on the disk is given back.
const freeStep = 1 << 20

// at returns the invocation at a place. It is called with mu held.
func (r *record) at(place int64) (placed, error) {
	if place >= r.written {
		i, _ := slices.BinarySearchFunc(r.recent, place, func(p placed, at int64) int { return int(p.at - at) })
		return r.recent[i], nil
	}
	if r.closed {
		return placed{}, ErrClosed
	}
	head := make([]byte, recordHead)
	_, err := r.file.ReadAt(head, place)
	if err != nil {
		return placed{}, fmt.Errorf("reading what executors that come later must know: %w", err)
	}
	p := placed{&Invoke{Seq: binary.BigEndian.Uint64(head)}, place}
	p.Invocation = make([]byte, binary.BigEndian.Uint32(head[8:]))
	if _, err := r.file.ReadAt(p.Invocation, place+recordHead); err != nil {
		return placed{}, fmt.Errorf("reading what executors that come later must know: %w", err)
	}
	return p, nil
}

// reader returns a reader of all that isn't forgotten, and how many invocations that is.
func (r *record) reader() (*recordReader, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &recordReader{r, r.first}, r.kept
}

// close drops all.
func (r *record) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.recent, r.first, r.written = nil, r.end, r.end
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// recordReader reads a record in order. One goroutine uses it.
type recordReader struct {
	record *record
	place  int64
}

// isNear reports whether the next invocation, if there is one, is in memory.
func (x *recordReader) isNear() bool {
	r := x.record
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(x.place, r.first) >= r.written
}

// next returns the next invocation, nil if there is none yet. Those that were forgotten
// meanwhile are left out.
func (x *recordReader) next() (*Invoke, error) {
	r := x.record
	r.mu.Lock()
	defer r.mu.Unlock()
	x.place = max(x.place, r.first)
	if x.place >= r.end {
		return nil, nil
	}
	p, err := r.at(x.place)
	if err != nil {
		return nil, err
	}
	x.place = p.next()
	return p.Invoke, nil
}
