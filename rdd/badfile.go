package rdd

import (
	"errors"
	"fmt"
	"path"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// OnBadFile sets what becomes of files that can't be read, as [OnBadRecord] does of records; the
// default is [Fail]. Such a file is damaged (its compressed bytes don't unpack, it ends within a
// record, it has shrunk or was replaced after it was listed), has a line that is longer than
// lines may be, is too large, or is gone. What lies before the place where that shows is read, of
// lines but for the last 256 KiB; what follows in the part of the file that a task reads is left out and
// counts as one bad record.
// A [DeadLetter] is given the file, a [files.File].
//
// What may be no fault of the file's fails the task whatever the policy: storage that doesn't
// answer, access that is denied, and a file that is gone from a directory that is empty or gone
// itself, as one that isn't mounted is.
func OnBadFile(p BadRecords) FileOption {
	return fileOption{"OnBadFile", func(f *fileOptions) { f.badFile = p }}
}

// badFiles is what an operator does about files that can't be read.
type badFiles struct {
	op
	policy badPolicy
	letter func(p Part, f files.File, err error) error
}

// badFiles returns what the operator does by a policy.
func (o op) badFiles(p BadRecords) badFiles {
	b := badFiles{op: o, policy: p.policy}
	if p.policy != badDeadLetter {
		return b
	}
	var ok bool
	if b.letter, ok = p.letter.(func(Part, files.File, error) error); !ok {
		o.failLetter(p.letter, b.letter)
	} else if b.letter == nil {
		o.fail(ErrNilFunction)
	}
	return b
}

// readError applies the policy to an error of reading a file; nil is none. It returns an error
// to fail the task.
func (b badFiles) readError(tc *task.Context, f files.File, err error) error {
	if err == nil {
		return nil
	}
	if tc.Err() != nil || !isBadFile(err) {
		return b.error(err)
	}
	if b.policy == badFail {
		return b.error(fmt.Errorf("%w; to go on without such files use OnBadFile(Skip()), of package rdd or, for a stream, connectors/files", err))
	}
	if errors.Is(err, files.ErrMissing) {
		if dir, alone := isLast(tc, f); alone {
			return b.error(fmt.Errorf("%w; it isn't left out, since its directory %s is empty or gone, as one that isn't mounted is", err, dir))
		}
	}
	if b.policy == badDeadLetter {
		if failed := b.letter(PartOf(tc), f, err); failed != nil {
			return b.error(fmt.Errorf("%w; it was to take a file that can't be read: %v", failed, err))
		}
	}
	tc.Metrics.BadRecords++
	return nil
}

// isBadFile reports whether an error is about a file, and stays as it is when the file is read
// again.
func isBadFile(err error) bool {
	_, isCut := errors.AsType[*cutShort](err)
	switch {
	case errors.Is(err, errVersion): // another program reads it
		return false
	case errors.Is(err, files.ErrMissing), errors.Is(err, files.ErrTooLarge), errors.Is(err, ErrLine):
		return true
	case errors.Is(err, files.ErrDamaged):
		return !isCut || task.IsPermanent(err) // else the connection may have ended
	}
	return false
}

// isLast reports whether nothing is in the directory of a file that is gone, or nobody knows.
func isLast(tc *task.Context, f files.File) (dir files.Address, alone bool) {
	a, err := files.Parse(f.Path)
	if err != nil {
		return a, true
	}
	dir = a
	if dir.Key = path.Dir(a.Key); dir.Key == "." {
		dir.Key = ""
	}
	b, err := bucketOf(tc, dir)
	if err != nil {
		return dir, true
	}
	any, err := b.HoldsAny(tc, dir.Key)
	return dir, err != nil || !any
}

// cutShort is the error of a file whose bytes end before they should.
type cutShort struct {
	path string
	at   int64
}

// Error says where.
func (c *cutShort) Error() string {
	return fmt.Sprintf("%v: %s is cut short at byte %d", files.ErrDamaged, c.path, c.at)
}

// Unwrap returns what it is.
func (c *cutShort) Unwrap() error { return files.ErrDamaged }
