package rdd

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd/task"
)

// JSONLines makes an RDD of what the lines of files hold, each a value in JSON that is
// decoded as package encoding/json does it. Blank lines are passed over. Files are found
// and cut as by [TextFile].
//
// A line that doesn't fit T is a bad record: [OnBadRecord] says what becomes of it, by
// default the task fails with the file and the line. A [DeadLetter] is given the line, a
// string.
//
// Options: [MinPartitions], [SplitSize], [MaxLine], [Recursive], [OnBadRecord], [OnBadFile].
func JSONLines[T any](sc *Context, pattern string, opts ...FileOption) *RDD[T] {
	d := decodingLines(sc, "jsonLines", opts, "MinPartitions", "SplitSize", "MaxLine", "Recursive", "OnBadRecord", "OnBadFile")
	splits := splitsOf(d.listed(pattern, d.recursive), d.fileOptions, isPlain)
	return made(d.op, len(splits), nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			err := readLines(tc, splits[p], d.maxLine, func(l *lineReader) func(string, error) bool {
				return decodeLines(d, l, yield, decodeJSON[T])
			})
			ends(yield, d.onFile.readError(tc, splits[p].File, err))
		}
	})
}

// decodeJSON returns the value that a line holds.
func decodeJSON[T any](line string) (v T, err error) {
	err = json.Unmarshal(unsafe.Slice(unsafe.StringData(line), len(line)), &v) // which keeps none of it
	return v, lasting(err)
}

// lasting returns an error of a decoder, permanent if it says of the text that it can't be
// read. Others may be those of a method of the element's type, which does what it likes.
func lasting(err error) error {
	_, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	_, isNumber := errors.AsType[*strconv.NumError](err)
	_, isTime := errors.AsType[*time.ParseError](err)
	if isSyntax || isType || isNumber || isTime {
		return Permanent(err)
	}
	return err
}

// lineDecoding is how an operator makes records of lines, some of which may be bad.
type lineDecoding struct {
	trier[string]
	fileOptions
	onFile badFiles
}

// decodingLines returns the operator of the given name and options.
func decodingLines(sc *Context, name string, opts []FileOption, allowed ...string) lineDecoding {
	var bad []TryOption
	for _, opt := range opts {
		if t, ok := opt.(TryOption); ok {
			bad = append(bad, t)
		}
	}
	d := lineDecoding{trier: trierOf[string](sc, name, nil, bad)}
	d.fileOptions = d.op.fileOptions(opts, allowed...)
	d.onFile = d.op.badFiles(d.badFile)
	return d
}

// decodeLines returns what takes the lines of a reader and yields the records that decode
// makes of them, but for blank and bad ones.
func decodeLines[T any](d lineDecoding, l *lineReader, yield func(T, error) bool, decode func(line string) (T, error)) func(string, error) bool {
	index := int64(-1)
	return func(line string, _ error) bool {
		index++
		if l.begin == 0 {
			line = strings.TrimPrefix(line, byteOrderMark)
		}
		if strings.TrimSpace(line) == "" {
			l.passOver()
			return true
		}
		v, err := attempt(decode, line)
		if err == nil {
			return yield(v, nil)
		}
		return !ends(yield, d.refusedAt(l.tc, index, line, l.where(d.policy == badFail), err))
	}
}

// byteOrderMark may begin a file.
const byteOrderMark = "\ufeff"

// refusedAt is refused for a record at a place that is known.
func (d lineDecoding) refusedAt(tc *task.Context, index int64, record, place string, cause error) error {
	if p, ok := cause.(*PanicError); ok {
		p.Value += " at " + place
	} else {
		cause = fmt.Errorf("%s: %w", place, cause)
	}
	return d.refused(tc, index, record, cause)
}

// where says where the line is that was yielded last: by its number, if that is known or
// worth counting the lines before the split.
func (l *lineReader) where(count bool) string {
	before := int64(0)
	if l.split.from > 0 {
		if !count {
			return l.place()
		}
		n, err := l.linesBefore()
		if err != nil {
			return l.place()
		}
		before = n
	}
	return fmt.Sprintf("line %d of %s", before+l.lines, l.split.Path)
}

// linesBefore returns how many lines of the file begin before the split.
func (l *lineReader) linesBefore() (n int64, err error) {
	in, err := openPlain(l.tc, l.split.File, 0, l.split.from)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }() // all that was wanted is read
	block := make([]byte, textBlock)
	var last byte
	for left := l.split.from; left > 0; {
		m, err := in.Read(block[:min(left, textBlock)])
		if err != nil {
			return 0, err
		}
		for _, c := range block[:m] {
			if c == '\n' {
				n++
			}
		}
		left -= int64(m)
		if m > 0 {
			last = block[m-1]
		}
	}
	if last != '\n' {
		n++ // the line that goes on in the split
	}
	return n, nil
}
