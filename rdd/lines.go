package rdd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd/task"
)

// lineReader reads the lines that begin in a split of a file. Lines end in \n or \r\n, the
// last one at the end of the file.
type lineReader struct {
	tc    *task.Context
	split fileSplit
	until int64 // no line of the split begins there or beyond
	most  int   // bytes of a line
	in    io.ReadCloser
	block []byte
	skip  bool  // the line that is read belongs to the split before
	lines int64 // that were yielded
	own   bool  // each line has memory of its own, else those of a block share it
	begin int64 // offset of the line that was yielded last, in what the file unpacks to
}

// textBlock is how much of a file is read at once. Lines of a file that isn't compressed
// are parts of such a block, so that one line keeps the block in memory: as long as the
// task runs, or for as long as the program keeps the line; where partitions are kept,
// strings are copied.
const textBlock = 256 << 10

// ballast is the key of bytes that a process which reads files keeps and never touches, so
// that they take address space and no memory. Without them the heap of a process that
// keeps nothing is so small that it is collected every few blocks, which costs more than
// to read them; with more of them what is read doesn't fit in the processor's cache.
type ballast struct{}

const ballastBytes = 16 << 20

// linesOf opens a split.
func linesOf(tc *task.Context, s fileSplit, most int) (*lineReader, error) {
	l := &lineReader{tc: tc, split: s, most: most, until: s.until}
	if _, err := tc.Process.Resource(ballast{}, func() (any, func() error, error) { return unzeroed(ballastBytes), nil, nil }); err != nil {
		return nil, err
	}
	var err error
	if isPlain(s.File) {
		// The byte before the split says whether a line begins with the split.
		l.begin = max(0, s.from-1)
		l.in, err = openPlain(tc, s.File, l.begin, s.until)
	} else {
		l.own, l.until = true, math.MaxInt64
		l.in, err = openUnpacked(tc, s.File)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// each yields the lines. The error is one of reading them.
func (l *lineReader) each(yield func(string, error) bool) error {
	l.skip = l.split.from > 0 // what is left of the line that began before
	var block []byte
	for size, carry, atEnd := textBlock, 0, false; !atEnd && (l.skip || l.begin < l.until); {
		var err error
		if block, atEnd, err = l.fill(block[len(block)-carry:], size); err != nil {
			return err
		}
		rest, more, err := l.cut(block, atEnd, yield)
		switch carry = len(rest); {
		case !more:
			return err
		case l.skip:
			l.begin += int64(carry)
			carry = 0
		case carry > l.most:
			return l.tooLong()
		}
		for size = textBlock; carry > size/2; {
			size *= 2
		}
	}
	return nil
}

// fill returns a block of up to so many bytes that begins with carry, and whether it is the
// file's last. What begins beyond the split is read as it comes.
func (l *lineReader) fill(carry []byte, size int) (block []byte, atEnd bool, err error) {
	if !l.own || cap(l.block) < size {
		l.block = unzeroed(size)
	}
	block = l.block[:size]
	n := copy(block, carry)
	for read := 0; n < size && (read == 0 || l.begin+int64(n) < l.until); {
		read, err = l.in.Read(block[n:])
		n += read
		l.tc.Metrics.BytesRead += int64(read)
		if errors.Is(err, io.EOF) {
			return block[:n], true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return block[:n], false, nil
}

// cut yields the lines of a block and returns what is left of it, the beginning of a line.
func (l *lineReader) cut(block []byte, atEnd bool, yield func(string, error) bool) (rest []byte, more bool, err error) {
	text := unsafe.String(unsafe.SliceData(block), len(block)) // nobody writes to it, or to what is yielded of it
	if l.skip {
		n := strings.IndexByte(text, '\n') + 1
		if n == 0 {
			return block, true, nil
		}
		l.skip = false
		l.begin += int64(n)
		text = text[n:]
	}
	tc, until, most, lines := l.tc, l.until, l.most, l.lines
	defer func() { tc.Metrics.RecordsRead += l.lines - lines }()
	for len(text) > 0 {
		n := strings.IndexByte(text, '\n')
		if n < 0 {
			if !atEnd {
				break
			}
			n = len(text)
		}
		switch {
		case l.begin >= until:
			return nil, false, nil
		case tc.Killed():
			return nil, false, context.Cause(tc)
		case n > most:
			return nil, false, l.tooLong()
		}
		line := text[:n]
		text = text[min(n+1, len(text)):]
		if n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if l.own {
			line = strings.Clone(line)
		}
		if l.lines++; !yield(line, nil) {
			return nil, false, nil
		}
		l.begin += int64(n) + 1
	}
	return block[len(block)-len(text):], true, nil
}

// unzeroed returns bytes that may be anything: to clear them takes as long as to find the
// lines in them.
func unzeroed(size int) []byte {
	var b strings.Builder
	b.Grow(size)
	b.WriteByte(0) // so that its memory can be had
	return unsafe.Slice(unsafe.StringData(b.String()), size)
}

// passOver says that the line which was yielded last is no record.
func (l *lineReader) passOver() { l.tc.Metrics.RecordsRead-- }

// tooLong is the error of a line that is longer than lines may be.
func (l *lineReader) tooLong() error {
	return fmt.Errorf("%w: %s has more than %d bytes; if the file is one of lines, raise rdd.MaxLine", ErrLine, l.place(), l.most)
}

// place says where the line is that was yielded last.
func (l *lineReader) place() string {
	what := ""
	if l.own {
		what = ", decompressed"
	}
	return fmt.Sprintf("the line of %s at byte %d%s", l.split.Path, l.begin, what)
}

// readLines hands the lines of a split to what take makes of their reader. The error is one of
// reading them.
func readLines(tc *task.Context, s fileSplit, most int, take func(*lineReader) func(string, error) bool) error {
	l, err := linesOf(tc, s, most)
	if err != nil {
		return err
	}
	defer func() { _ = l.in.Close() }() // all that was wanted is read
	return l.each(take(l))
}
