package rdd

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strings"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Comma sets what separates the fields of [CSV], a comma by default.
func Comma(c rune) FileOption { return fileOption{"Comma", func(f *fileOptions) { f.comma = c }} }

// NoHeader says that files of [CSV] have no header: their columns are the fields of the
// struct, in order.
func NoHeader() FileOption {
	return fileOption{"NoHeader", func(f *fileOptions) { f.noHeader = true }}
}

// MultiLine lets quoted fields of [CSV] have several lines. A file is then read by one task.
func MultiLine() FileOption {
	return fileOption{"MultiLine", func(f *fileOptions) { f.multiLine = true }}
}

// CSV makes an RDD of the records of files, read as package encoding/csv does it. T is a
// struct; a tag csv:"name" says which column a field is, without one it is that of the
// field's name, and csv:"-" leaves a field out. The first line of each file names its
// columns, of which those that no field asks for are passed over. Fields may be strings,
// numbers, bools, what implements encoding.TextUnmarshaler, such as time.Time, and pointers
// to them, which are nil where a column is empty.
//
// Files are found and cut as by [TextFile]: so a record is a line, unless the option
// [MultiLine] is given. A record that doesn't fit is a bad one: [OnBadRecord] says what
// becomes of it, by default the task fails with the file and the line. A [DeadLetter] is
// given the line, a string.
//
// Options: [Comma], [NoHeader], [MultiLine], [MinPartitions], [SplitSize], [MaxLine],
// [Recursive], [OnBadRecord], [OnBadFile].
func CSV[T any](sc *Context, pattern string, opts ...FileOption) *RDD[T] {
	d := decodingLines(sc, "csv", opts, "Comma", "NoHeader", "MultiLine", "MinPartitions", "SplitSize", "MaxLine", "Recursive", "OnBadRecord", "OnBadFile")
	columns, err := csvColumnsOf(reflect.TypeFor[T]())
	d.fail(err)
	if !isComma(d.comma) {
		d.fail(fmt.Errorf("%w: %q can't separate fields", ErrArgument, d.comma))
	}
	splits := splitsOf(d.listed(pattern, d.recursive), d.fileOptions, func(f files.File) bool { return !d.multiLine && isPlain(f) })
	return made(d.op, len(splits), nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			c := &csvDecoder[T]{d: d, columns: columns}
			if d.multiLine {
				c.readRecords(tc, splits[p], yield)
			} else {
				c.readLines(tc, splits[p], yield)
			}
		}
	})
}

// isComma reports whether package encoding/csv takes a character as what separates fields.
func isComma(c rune) bool {
	_, err := csvReader(strings.NewReader("a"), c).Read()
	return err == nil
}

// csvReader returns a reader of records that have any number of fields.
func csvReader(from io.Reader, comma rune) *csv.Reader {
	r := csv.NewReader(from)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
	return r
}

// csvDecoder makes elements of the records of a file.
type csvDecoder[T any] struct {
	d       lineDecoding
	columns []csvColumn
	width   int   // of the records
	from    []int // by columns, which field of a record it is
}

// readLines yields the elements of a split whose records are lines.
func (c *csvDecoder[T]) readLines(tc *task.Context, s fileSplit, yield func(T, error) bool) {
	one := &oneLine{}
	in := csvReader(one, c.d.comma)
	fields := func(line string) ([]string, error) {
		one.line = line
		record, err := in.Read()
		return record, lineError(err)
	}
	if err := c.findHeader(tc, s, fields); err != nil {
		ends(yield, c.d.onFile.readError(tc, s.File, err))
		return
	}
	decode := func(line string) (v T, err error) {
		record, err := fields(line)
		if err != nil {
			return v, Permanent(err)
		}
		return c.element(record)
	}
	err := readLines(tc, s, c.d.maxLine, func(l *lineReader) func(string, error) bool {
		take := decodeLines(c.d, l, yield, decode)
		return func(line string, _ error) bool {
			if l.begin == 0 && !c.d.noHeader {
				l.passOver()
				return true
			}
			return take(line, nil)
		}
	})
	ends(yield, c.d.onFile.readError(tc, s.File, err))
}

// findHeader reads the first line of a split's file.
func (c *csvDecoder[T]) findHeader(tc *task.Context, s fileSplit, fields func(line string) ([]string, error)) (failed error) {
	if c.d.noHeader {
		c.inOrder()
		return nil
	}
	first := fileSplit{s.File, 0, min(1, s.Size)}
	err := readLines(tc, first, c.d.maxLine, func(l *lineReader) func(string, error) bool {
		return func(line string, _ error) bool {
			l.passOver()
			names, err := fields(strings.TrimPrefix(line, byteOrderMark))
			if err == nil || errors.Is(err, io.EOF) {
				err = c.header(s, names)
			}
			failed = err
			return false
		}
	})
	return cmp.Or(err, failed)
}

// inOrder takes the fields of records for the columns, in order.
func (c *csvDecoder[T]) inOrder() {
	c.from, c.width = make([]int, len(c.columns)), len(c.columns)
	for i := range c.from {
		c.from[i] = i
	}
}

// header finds the columns in a file's header.
func (c *csvDecoder[T]) header(s fileSplit, names []string) error {
	c.from, c.width = make([]int, len(c.columns)), len(names)
	at := make(map[string]int, len(names))
	for i, name := range names {
		at[strings.TrimSpace(name)] = i
	}
	for i, column := range c.columns {
		n, ok := at[column.name]
		if !ok {
			return Permanent(fmt.Errorf("%w: %s has no column %q: its first line names %q; a tag csv:\"name\" says which column a field is, upper and lower case differ; if the file has no header use rdd.NoHeader()", ErrArgument, s.Path, column.name, names))
		}
		c.from[i] = n
	}
	return nil
}

// element makes an element of a record.
func (c *csvDecoder[T]) element(record []string) (v T, err error) {
	if len(record) != c.width {
		return v, Permanent(fmt.Errorf("it has %d fields and should have %d", len(record), c.width))
	}
	to := reflect.ValueOf(&v).Elem()
	for i, column := range c.columns {
		if err := column.set(to.Field(column.field), record[c.from[i]]); err != nil {
			return v, fmt.Errorf("column %q: %w", column.name, lasting(err))
		}
	}
	return v, nil
}

// readRecords yields the elements of a file whose records may have several lines.
func (c *csvDecoder[T]) readRecords(tc *task.Context, s fileSplit, yield func(T, error) bool) {
	from, err := openUnpacked(tc, s.File)
	if err != nil {
		ends(yield, c.d.onFile.readError(tc, s.File, err))
		return
	}
	defer func() { _ = from.Close() }() // all that was wanted is read
	limited := &limitedRecords{from: from, most: c.d.maxLine, path: s.Path, left: c.d.maxLine + recordBuffer}
	buffered := bufio.NewReaderSize(limited, recordBuffer)
	if mark, err := buffered.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		_, _ = buffered.Discard(len(byteOrderMark)) // they are there
	}
	in := csvReader(buffered, c.d.comma)
	headed := c.d.noHeader
	if headed {
		c.inOrder()
	}
	for index := int64(0); ; {
		limited.left = c.d.maxLine + recordBuffer
		record, err := in.Read()
		parse, isBad := errors.AsType[*csv.ParseError](err)
		switch {
		case tc.Killed():
			ends(yield, context.Cause(tc))
			return
		case errors.Is(err, io.EOF) && !isBad:
			return
		case err != nil && (!isBad || !headed):
			ends(yield, c.d.onFile.readError(tc, s.File, err))
			return
		case !headed:
			if err := c.header(s, record); err != nil {
				ends(yield, c.d.error(err))
				return
			}
			headed = true
			continue
		}
		tc.Metrics.RecordsRead++
		var v T
		var line int
		if isBad {
			line, err = parse.StartLine, Permanent(lineError(err))
		} else {
			line, _ = in.FieldPos(0)
			v, err = attempt(c.element, record)
		}
		if err != nil {
			place := fmt.Sprintf("line %d of %s", line, s.Path)
			err = c.d.refusedAt(tc, index, encodeCSV(record, c.d.comma), place, err)
			if ends(yield, err) {
				return
			}
		} else if !yield(v, nil) {
			return
		}
		index++
	}
}

// lineError says of a record that isn't one what is wrong, without the number of the line,
// which isn't that of the file.
func lineError(err error) error {
	parse, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case !ok:
		return err
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("byte %d: %w; if fields may have several lines use rdd.MultiLine()", parse.Column, parse.Err)
	}
	return fmt.Errorf("byte %d: %w", parse.Column, parse.Err)
}

// encodeCSV returns a record as a line.
func encodeCSV(record []string, comma rune) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma = comma
	_ = w.Write(record) // to memory
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// oneLine reads a line, and then the next one that it is given.
type oneLine struct{ line string }

// Read implements io.Reader.
func (o *oneLine) Read(p []byte) (int, error) {
	n := copy(p, o.line)
	if o.line = o.line[n:]; o.line == "" {
		return n, io.EOF
	}
	return n, nil
}

// recordBuffer is how much is read at once of a file whose records may have several lines.
const recordBuffer = 64 << 10

// limitedRecords keeps a quote that isn't closed from taking a whole file for a field.
type limitedRecords struct {
	from *unpacked
	path string
	most int
	left int // what may be read before the next record
}

// Read implements io.Reader.
func (l *limitedRecords) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: a record of %s before byte %d has more than %d bytes; a quote may not be closed, else raise rdd.MaxLine", ErrLine, l.path, l.from.from.Offset(), l.most)
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
