package batchlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Why a change is refused, for errors.Is.
var (
	// ErrSequence: a batch or a value isn't the next one, or is recorded with
	// another content.
	ErrSequence = errors.New("out of sequence")
	// ErrHeader: the job's header is empty or another one than was recorded.
	ErrHeader = errors.New("not the job's header")
	// ErrFull: as many values or batches are recorded as may be.
	ErrFull = errors.New("the batch log is full")
)

// Refusal says why a change is refused.
type Refusal struct {
	Kind error // one of the errors above
	What string
}

// Error gives the kind and what is wrong.
func (r *Refusal) Error() string { return r.Kind.Error() + ": " + r.What }

// Unwrap returns the kind.
func (r *Refusal) Unwrap() error { return r.Kind }

func refuse(kind error, format string, args ...any) error {
	return &Refusal{kind, fmt.Sprintf(format, args...)}
}

// Commit is called when a change is known to be right, before anything changes:
// it makes it durable, or accounts for the bytes by which the state grows. Its
// error stops the change. nil does nothing.
type Commit func(growth int) error

func (c Commit) do(growth int) error {
	if c == nil {
		return nil
	}
	return c(growth)
}

// Effect says what a change did.
type Effect struct {
	Existed   bool // it was recorded before
	Completed bool // a completion was of a batch that wasn't complete
}

// Start records the job's header. The first one stays.
func (s *State) Start(header []byte, commit Commit) (Effect, error) {
	switch {
	case len(header) == 0:
		return Effect{}, refuse(ErrHeader, "the header is empty")
	case s.Header != nil && !bytes.Equal(s.Header, header):
		return Effect{}, refuse(ErrHeader, "it was started with another header: another graph or parallelism")
	case s.Header != nil:
		return Effect{Existed: true}, nil
	}
	return Effect{}, s.Restart(header, commit)
}

// Restart records a header in place of the one before.
func (s *State) Restart(header []byte, commit Commit) error {
	if err := commit.do(len(header) - len(s.Header)); err != nil {
		return err
	}
	s.Header = header
	return nil
}

// Record records a value. Its index counts from 0 without gaps and stays below
// limit, unless that is 0.
func (s *State) Record(index int, v Value, limit int, commit Commit) (Effect, error) {
	if index >= 0 && index < len(s.Values) {
		if old := s.Values[index]; old.Name != v.Name || !bytes.Equal(old.Data, v.Data) {
			return Effect{}, refuse(ErrSequence, "value %d was recorded with another content", index)
		}
		return Effect{Existed: true}, nil
	}
	if index != len(s.Values) {
		return Effect{}, refuse(ErrSequence, "value %d, the next is %d", index, len(s.Values))
	}
	if limit > 0 && len(s.Values) >= limit {
		return Effect{}, refuse(ErrFull, "%d values are recorded, which is the limit", limit)
	}
	if err := commit.do(v.size()); err != nil {
		return Effect{}, err
	}
	s.Values = append(s.Values, v)
	return Effect{}, nil
}

// Allocate records a batch, whose Seq follows the last one's, and completions.
// With a limit that isn't 0 at most so many batches aren't complete afterwards.
func (s *State) Allocate(b Batch, done []Completion, limit int, commit Commit) (Effect, error) {
	if b.Seq == s.Last.Seq && b.Seq != 0 {
		if s.Last.Epoch != b.Epoch || !bytes.Equal(s.Last.Data, b.Data) {
			return Effect{}, refuse(ErrSequence, "batch %d is allocated with another content", b.Seq)
		}
		e, err := s.Complete(done, commit)
		e.Existed = true
		return e, err
	}
	if b.Seq != s.Last.Seq+1 {
		return Effect{}, refuse(ErrSequence, "batch %d, the next is %d", b.Seq, s.Last.Seq+1)
	}
	if limit > 0 && len(s.Pending)-s.wouldComplete(done) >= limit {
		return Effect{}, refuse(ErrFull, "%d batches aren't complete, which is the limit", limit)
	}
	last, pending := s.Last, s.Pending
	s.Last = b.asRecorded()
	s.Pending = append(s.Pending, s.Last)
	gone := s.unneeded()
	growth := s.Last.size() + len(b.Data) - len(last.Data) + s.growth(done)
	for _, p := range s.Past[:gone] {
		growth -= p.size()
	}
	if err := commit.do(growth); err != nil {
		s.Last, s.Pending = last, pending
		return Effect{}, err
	}
	s.Past = slices.Delete(s.Past, 0, gone)
	return Effect{Completed: s.complete(done)}, nil
}

// keeps reports whether a batch that is complete is kept.
func (s *State) keeps(seq uint64) bool { return s.Last.Keep > 0 && seq >= s.Last.Keep }

// keep adds a batch to the past. They may be completed in another order than their own.
func (s *State) keep(b Batch) {
	at, _ := slices.BinarySearchFunc(s.Past, b.Seq, bySeq)
	s.Past = slices.Insert(s.Past, at, b)
}

// unneeded counts the past batches that none reaches back to any more.
func (s *State) unneeded() int {
	n := slices.IndexFunc(s.Past, func(p Batch) bool { return s.keeps(p.Seq) })
	if n < 0 {
		return len(s.Past)
	}
	return n
}

// Complete records that outputs are done. What it doesn't know it ignores, so that
// a completion twice does no harm.
func (s *State) Complete(done []Completion, commit Commit) (Effect, error) {
	if err := commit.do(s.growth(done)); err != nil {
		return Effect{}, err
	}
	return Effect{Completed: s.complete(done)}, nil
}

func (s *State) complete(done []Completion) (any bool) {
	for _, c := range done {
		at, found := s.pending(c.Seq)
		if !found {
			continue
		}
		any = true
		if c.Output == AllOutputs {
			if s.keeps(c.Seq) {
				s.keep(s.Pending[at].asRecorded())
			}
			s.Pending = slices.Delete(s.Pending, at, at+1)
			continue
		}
		p := &s.Pending[at]
		if i, found := slices.BinarySearch(p.Done, c.Output); !found {
			p.Done = slices.Insert(p.Done, i, c.Output)
		}
	}
	return any
}

// wouldComplete counts the batches that completions end.
func (s *State) wouldComplete(done []Completion) int {
	ended := make(map[uint64]bool)
	for _, c := range done {
		if _, found := s.pending(c.Seq); found && c.Output == AllOutputs {
			ended[c.Seq] = true
		}
	}
	return len(ended)
}

// Drop forgets what is recorded, but for the newest batch's Seq.
func (s *State) Drop() { *s = State{Last: Batch{Seq: s.Last.Seq}} }
