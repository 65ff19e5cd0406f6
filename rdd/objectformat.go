package rdd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/klauspost/compress/s2"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/files"
)

// A file of objects is an S2 stream, which has checksums, of
//
//	a line     "hibana objects 1 TYPE", TYPE being the Go type of the elements
//	frames     a uvarint n > 0 and n bytes: elements, encoded with msgpack
//	an end     a 0, and the number of elements as a uvarint
//
// so that a file that was cut short is told from a whole one.

// objectsMark begins files of objects of all versions, objectsFormat those of this one.
const (
	objectsMark   = "hibana objects "
	objectsFormat = objectsMark + "1 "
)

// What is said of files that this program can't read.
var (
	errVersion  = fmt.Errorf("%w: it is of another version", files.ErrDamaged)
	errCutShort = fmt.Errorf("%w: it is cut short", files.ErrDamaged)
)

// Bounds of what is read.
const (
	maxObjectsHeader = 4 << 10
	maxObjectFrame   = 1 << 30
)

// typeName returns the Go type of elements, for people and to compare.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }

// objectWriter writes a file of objects.
type objectWriter[T any] struct {
	codec encoding.Codec[T]
	objectStream
}

// newObjectWriter begins a file.
func newObjectWriter[T any](codec encoding.Codec[T], to io.Writer) (*objectWriter[T], error) {
	w := &objectWriter[T]{codec: codec}
	return w, w.begin(to, typeName[T]())
}

// add adds an element.
func (w *objectWriter[T]) add(v T) error {
	frame, err := w.codec.Append(w.frame, v)
	if err != nil {
		return err
	}
	return w.added(frame)
}

// objectStream is a file of objects that is being written.
type objectStream struct {
	out   *s2.Writer
	frame []byte
	count uint64
}

// begin begins a file of elements of the given type.
func (w *objectStream) begin(to io.Writer, elements string) error {
	w.out = s2.NewWriter(to, s2.WriterConcurrency(1))
	_, err := fmt.Fprintf(w.out, "%s%s\n", objectsFormat, elements)
	return err
}

// added puts back the frame, to which an element was appended.
func (w *objectStream) added(frame []byte) error {
	w.frame = frame
	w.count++
	if len(w.frame) < frameBytes {
		return nil
	}
	return w.flush()
}

// flush writes the elements that are waiting.
func (w *objectStream) flush() error {
	if len(w.frame) > maxObjectFrame {
		return fmt.Errorf("%w: an element of %d bytes, at most %d", ErrEncoding, len(w.frame), maxObjectFrame)
	}
	var head [binary.MaxVarintLen64]byte
	_, err := w.out.Write(binary.AppendUvarint(head[:0], uint64(len(w.frame))))
	if err == nil {
		_, err = w.out.Write(w.frame)
	}
	w.frame = w.frame[:0]
	return err
}

// finish ends the file.
func (w *objectStream) finish() error {
	if len(w.frame) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if _, err := w.out.Write(binary.AppendUvarint([]byte{0}, w.count)); err != nil {
		return err
	}
	return w.out.Close()
}

// readFrames hands decode the frames of a file of elements of the given type. decode returns
// how many elements it had.
func readFrames(from io.Reader, elements string, decode func(frame []byte) (n uint64, more bool, err error)) error {
	in := bufio.NewReaderSize(s2.NewReader(from), maxObjectsHeader)
	if err := checkHeader(in, elements); err != nil {
		return err
	}
	for count := uint64(0); ; {
		frame, err := readFrame(in)
		if err == nil && frame == nil {
			err = checkEnd(in, count)
		}
		if err != nil || frame == nil {
			return err
		}
		n, more, err := decode(frame)
		count += n
		switch {
		case err != nil:
			return fmt.Errorf("%w: element %d: %w", ErrEncoding, count, err)
		case !more:
			return nil
		}
	}
}

// checkHeader reads the first line.
func checkHeader(in *bufio.Reader, want string) error {
	line, err := in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return damaged(err)
	}
	is := string(line[:max(0, len(line)-1)])
	switch {
	case len(is) < len(objectsFormat) || is[:len(objectsMark)] != objectsMark:
		return fmt.Errorf("%w: it is no file of objects: it begins with %.40q", files.ErrDamaged, is)
	case is[:len(objectsFormat)] != objectsFormat:
		return fmt.Errorf("%w: it begins with %.40q, this program knows %q", errVersion, is, objectsFormat)
	case is[len(objectsFormat):] != want:
		return Permanent(fmt.Errorf("%w: its elements are of type %.200s, not %s", ErrEncoding, is[len(objectsFormat):], want))
	}
	return nil
}

// readFrame returns the next frame, nil at the end.
func readFrame(in *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, damaged(err)
	}
	if n == 0 {
		return nil, nil
	}
	if n > maxObjectFrame {
		return nil, fmt.Errorf("%w: a frame of %d bytes", files.ErrDamaged, n)
	}
	// What was only announced takes no memory.
	frame := make([]byte, 0, min(n, 2*frameBytes))
	for uint64(len(frame)) < n {
		if len(frame) == cap(frame) {
			frame = append(frame, 0)[:len(frame)]
		}
		more, err := io.ReadFull(in, frame[len(frame):min(uint64(cap(frame)), n)])
		frame = frame[:len(frame)+more]
		if err != nil {
			return nil, damaged(err)
		}
	}
	return frame, nil
}

// checkEnd reads what follows the last frame.
func checkEnd(in *bufio.Reader, count uint64) error {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return damaged(err)
	}
	if n != count {
		return fmt.Errorf("%w: it has %d elements and had %d", files.ErrDamaged, count, n)
	}
	switch _, err := in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return damaged(err)
	}
	return fmt.Errorf("%w: there is more after its end", files.ErrDamaged)
}

// damaged says of an error of a stream's bytes that they aren't what was written.
func damaged(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errCutShort
	case errors.Is(err, s2.ErrCorrupt), errors.Is(err, s2.ErrCRC), errors.Is(err, s2.ErrTooLarge), errors.Is(err, s2.ErrUnsupported):
		return fmt.Errorf("%w: %w", files.ErrDamaged, err)
	}
	return err
}
