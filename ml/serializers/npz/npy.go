package npz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// DefaultMaxBytes is the limit used where none is given: the elements of one
// file, uncompressed.
const DefaultMaxBytes = 2 << 30

// ReadArray reads one .npy from r, at most maxBytes of elements (0 means
// DefaultMaxBytes). Memory grows with the bytes that arrive, never with the
// size that the header claims.
func ReadArray(r io.Reader, maxBytes int64) (Array, error) {
	a, _, err := readArray(r, maxBytes)
	return a, err
}

// readArray also reports how many bytes the array took in all.
func readArray(r io.Reader, maxBytes int64) (Array, int64, error) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	h, used, err := readHeader(r)
	if err != nil {
		return Array{}, used, err
	}
	a := Array{Type: h.kind, Shape: h.shape}
	if h.kind == Object {
		return a, used, nil // what follows is a pickle, and stays one
	}
	n, err := elements(h.shape)
	if err != nil {
		return Array{}, used, err
	}
	// A string of no characters takes no bytes, so the element count is held to
	// the limit as well as the byte count.
	if int64(n) > maxBytes || (n > 0 && int64(h.size) > maxBytes/int64(n)) {
		return Array{}, used, fmt.Errorf("%w: %v %s needs more than %d bytes", ErrTooLarge, h.shape, h.kind, maxBytes)
	}
	if h.size == 0 && n > 1<<16 {
		return Array{}, used, fmt.Errorf("%w: %d empty strings", ErrTooLarge, n)
	}
	var raw bytes.Buffer
	want := int64(n) * int64(h.size)
	if _, err := io.CopyN(&raw, r, want); err != nil {
		return Array{}, used, fmt.Errorf("%w: it ends after %d of %d bytes of elements: %w", ErrFormat, raw.Len(), want, err)
	}
	if a.Data, err = h.decode(raw.Bytes(), n); err != nil {
		return Array{}, used, err
	}
	if h.fortran && len(h.shape) > 1 {
		a.Data = rowMajor(a.Data, h.shape)
	}
	return a, used + want, nil
}

// decode turns n elements' bytes into a slice of the Go type.
func (h header) decode(raw []byte, n int) (any, error) {
	switch h.kind {
	case Float16:
		out := make([]float32, n)
		for i := range out {
			out[i] = halfToFloat(h.order.Uint16(raw[2*i:]))
		}
		return out, nil
	case Float32:
		return plain[float32](h.order, raw, n)
	case Float64:
		return plain[float64](h.order, raw, n)
	case Int8:
		return plain[int8](h.order, raw, n)
	case Int16:
		return plain[int16](h.order, raw, n)
	case Int32:
		return plain[int32](h.order, raw, n)
	case Int64:
		return plain[int64](h.order, raw, n)
	case Uint8:
		return plain[uint8](h.order, raw, n)
	case Uint16:
		return plain[uint16](h.order, raw, n)
	case Uint32:
		return plain[uint32](h.order, raw, n)
	case Uint64:
		return plain[uint64](h.order, raw, n)
	case Bool:
		out := make([]bool, n)
		for i, b := range raw {
			out[i] = b != 0
		}
		return out, nil
	default:
		return h.strings(raw, n)
	}
}

func plain[T any](order binary.ByteOrder, raw []byte, n int) ([]T, error) {
	out := make([]T, n)
	if _, err := binary.Decode(raw, order, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return out, nil
}

// strings decodes NumPy's fixed-width strings, which are padded with NULs:
// UTF-32 for Unicode, bytes for Bytes.
func (h header) strings(raw []byte, n int) ([]string, error) {
	out := make([]string, n)
	for i := range out {
		cell := raw[i*h.size : (i+1)*h.size]
		if h.kind == Bytes {
			out[i] = strings.TrimRight(string(cell), "\x00")
			continue
		}
		var text strings.Builder
		for ; len(cell) > 0; cell = cell[4:] {
			c := h.order.Uint32(cell)
			if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
				return nil, fmt.Errorf("%w: %#x in a string is not a Unicode character", ErrFormat, c)
			}
			text.WriteRune(rune(c))
		}
		out[i] = strings.TrimRight(text.String(), "\x00")
	}
	return out, nil
}

// rowMajor reorders elements that are stored with the first index fastest.
func rowMajor(data any, shape []int) any {
	switch d := data.(type) {
	case []float32:
		return reorder(d, shape)
	case []float64:
		return reorder(d, shape)
	case []int8:
		return reorder(d, shape)
	case []int16:
		return reorder(d, shape)
	case []int32:
		return reorder(d, shape)
	case []int64:
		return reorder(d, shape)
	case []uint8:
		return reorder(d, shape)
	case []uint16:
		return reorder(d, shape)
	case []uint32:
		return reorder(d, shape)
	case []uint64:
		return reorder(d, shape)
	case []bool:
		return reorder(d, shape)
	case []string:
		return reorder(d, shape)
	}
	return data
}

func reorder[T any](in []T, shape []int) []T {
	out := make([]T, len(in))
	index := make([]int, len(shape))
	for i := range out {
		from := 0
		for axis := len(shape) - 1; axis >= 0; axis-- {
			from = from*shape[axis] + index[axis]
		}
		out[i] = in[from]
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return out
}

// halfToFloat widens an IEEE 754 binary16.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24, exact in float32
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// WriteArray writes a as one .npy, in C order and little-endian. Half floats
// are written as the float32 they were widened to. Objects are refused.
func WriteArray(w io.Writer, a Array) error {
	var out bytes.Buffer
	if err := appendArray(&out, a); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

func appendArray(out *bytes.Buffer, a Array) error {
	n, err := elements(a.Shape)
	if err != nil {
		return err
	}
	data, descr := a.Data, ""
	switch d := a.Data.(type) {
	case []string:
		cells, width, err := utf32(d)
		if err != nil {
			return err
		}
		data, descr = cells, fmt.Sprintf("<U%d", width)
		n *= width
	case nil:
		return fmt.Errorf("%w: a %s array cannot be written", ErrType, a.Type)
	default:
		t := typeOf(d)
		if t == Invalid {
			return fmt.Errorf("%w: elements of type %T cannot be written", ErrType, d)
		}
		descr = descrOf(t)
	}
	if size := binary.Size(data); size < 0 || size != n*elementSize(data) {
		return fmt.Errorf("%w: shape %v does not hold the elements given", ErrFormat, a.Shape)
	}
	if err := appendHeader(out, descr, a.Shape); err != nil {
		return err
	}
	buf, err := binary.Append(slices.Grow(out.AvailableBuffer(), binary.Size(data)), binary.LittleEndian, data)
	if err != nil {
		return fmt.Errorf("encoding elements: %w", err)
	}
	out.Write(buf)
	return nil
}

func descrOf(t DType) string {
	for code, dt := range numeric {
		if dt == t {
			if code[1] == '1' {
				return "|" + code
			}
			return "<" + code
		}
	}
	return ""
}

func elementSize(data any) int {
	switch data.(type) {
	case []float64, []int64, []uint64:
		return 8
	case []float32, []int32, []uint32:
		return 4
	case []int16, []uint16:
		return 2
	}
	return 1
}

// utf32 lays strings out as NumPy does: as wide as the longest, padded with
// zeros.
func utf32(in []string) ([]uint32, int, error) {
	width := 0
	for _, s := range in {
		if !utf8.ValidString(s) || strings.HasSuffix(s, "\x00") {
			return nil, 0, fmt.Errorf("%w: the string %q cannot be written", ErrType, s)
		}
		width = max(width, utf8.RuneCountInString(s))
	}
	cells := make([]uint32, width*len(in))
	for i, s := range in {
		at := i * width
		for _, r := range s {
			cells[at] = uint32(r)
			at++
		}
	}
	return cells, width, nil
}
