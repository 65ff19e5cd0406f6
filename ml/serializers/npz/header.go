package npz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

const (
	magic = "\x93NUMPY"
	// maxHeader bounds the dictionary literal; NumPy itself refuses more than
	// 10,000 bytes by default.
	maxHeader = 16 << 10
	// maxDims is NumPy's own limit (64 since NumPy 2).
	maxDims = 64
)

// header is what the dictionary at the start of an .npy says.
type header struct {
	kind    DType
	size    int // bytes of one element
	order   binary.ByteOrder
	fortran bool
	shape   []int
}

// readHeader consumes the magic string, the version and the dictionary, and
// also says how many bytes that took.
func readHeader(r io.Reader) (h header, n int64, err error) {
	var fixed [8]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return h, 0, fmt.Errorf("%w: reading the magic string: %w", ErrFormat, err)
	}
	if string(fixed[:6]) != magic {
		return h, 0, fmt.Errorf("%w: it starts with %q, not with NumPy's magic string", ErrFormat, fixed[:6])
	}
	var width int
	switch fixed[6] {
	case 1:
		width = 2
	case 2, 3:
		width = 4
	default:
		return h, 0, fmt.Errorf("%w: format version %d.%d is not known", ErrFormat, fixed[6], fixed[7])
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:width]); err != nil {
		return h, 0, fmt.Errorf("%w: reading the header's length: %w", ErrFormat, err)
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size > maxHeader {
		return h, 0, fmt.Errorf("%w: a header of %d bytes (at most %d)", ErrTooLarge, size, maxHeader)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, 0, fmt.Errorf("%w: reading the header: %w", ErrFormat, err)
	}
	h, err = parseHeader(string(text))
	return h, int64(8 + width + len(text)), err
}

// parseHeader reads NumPy's dictionary literal, for example
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
func parseHeader(text string) (header, error) {
	var h header
	p := literal{rest: strings.TrimSpace(text)}
	seen := map[string]bool{}
	if !p.eat("{") {
		return h, fmt.Errorf("%w: the header is not a dictionary", ErrFormat)
	}
	for !p.eat("}") {
		key, ok := p.quoted()
		if !ok || !p.eat(":") || seen[key] {
			return h, fmt.Errorf("%w: the header has a bad or repeated key at %q", ErrFormat, p.near())
		}
		seen[key] = true
		var err error
		switch key {
		case "descr":
			descr, ok := p.quoted()
			if !ok {
				return h, fmt.Errorf("%w: only simple element types can be read, this one is %q", ErrFormat, p.near())
			}
			err = h.setType(descr)
		case "fortran_order":
			h.fortran = p.eat("True")
			if !h.fortran && !p.eat("False") {
				err = fmt.Errorf("%w: fortran_order is neither True nor False", ErrFormat)
			}
		case "shape":
			h.shape, err = p.tuple()
		default:
			err = fmt.Errorf("%w: the header has the unknown key %q", ErrFormat, key)
		}
		if err != nil {
			return h, err
		}
		if !p.eat(",") && !strings.HasPrefix(p.rest, "}") {
			return h, fmt.Errorf("%w: the header is cut off at %q", ErrFormat, p.near())
		}
	}
	if p.rest != "" || !seen["descr"] || !seen["fortran_order"] || !seen["shape"] {
		return h, fmt.Errorf("%w: the header needs descr, fortran_order and shape and nothing else", ErrFormat)
	}
	return h, nil
}

// setType understands NumPy's type strings: byte order, kind, bytes.
func (h *header) setType(descr string) error {
	bad := fmt.Errorf("%w: the element type %q is not supported", ErrFormat, descr)
	if len(descr) < 2 {
		return bad
	}
	h.order = binary.LittleEndian
	if descr[0] == '>' {
		h.order = binary.BigEndian
	} else if descr[0] != '<' && descr[0] != '|' {
		return bad
	}
	if descr == "|O" {
		h.kind = Object
		return nil
	}
	size, err := strconv.Atoi(descr[2:])
	if err != nil || size < 0 || size > math.MaxInt32/4 {
		return bad
	}
	switch h.size = size; descr[1] {
	case 'U':
		h.kind, h.size = Unicode, 4*size
	case 'S':
		h.kind = Bytes
	default:
		h.kind = numeric[descr[1:]]
	}
	if h.kind == Invalid {
		return bad
	}
	return nil
}

// numeric maps the kind and width of a NumPy type string to the element type.
var numeric = map[string]DType{
	"f2": Float16, "f4": Float32, "f8": Float64,
	"i1": Int8, "i2": Int16, "i4": Int32, "i8": Int64,
	"u1": Uint8, "u2": Uint16, "u4": Uint32, "u8": Uint64,
	"b1": Bool,
}

// elements multiplies a shape out and refuses negative dimensions and products
// that don't fit an int.
func elements(shape []int) (int, error) {
	if len(shape) > maxDims {
		return 0, fmt.Errorf("%w: %d dimensions (at most %d)", ErrFormat, len(shape), maxDims)
	}
	n, empty := uint64(1), false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("%w: negative dimension in shape %v", ErrFormat, shape)
		}
		if d == 0 {
			empty = true
			continue // a later factor may not overflow just because it meets a 0
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64/16 {
			return 0, fmt.Errorf("%w: shape %v", ErrTooLarge, shape)
		}
		n = lo
	}
	if empty {
		return 0, nil
	}
	return int(n), nil
}

// literal walks over the few Python literals that a header is made of.
type literal struct{ rest string }

func (p *literal) eat(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = strings.TrimLeft(rest, " \n\t")
	}
	return ok
}

func (p *literal) near() string { return p.rest[:min(len(p.rest), 20)] }

func (p *literal) quoted() (string, bool) {
	if p.rest == "" || (p.rest[0] != '\'' && p.rest[0] != '"') {
		return "", false
	}
	until := strings.IndexByte(p.rest[1:], p.rest[0])
	if until < 0 {
		return "", false
	}
	s := p.rest[1 : 1+until]
	p.rest = strings.TrimLeft(p.rest[until+2:], " \n\t")
	return s, true
}

func (p *literal) tuple() ([]int, error) {
	bad := fmt.Errorf("%w: the header's shape is not a tuple of sizes", ErrFormat)
	if !p.eat("(") {
		return nil, bad
	}
	var dims []int
	for !p.eat(")") {
		until := 0
		for until < len(p.rest) && p.rest[until] >= '0' && p.rest[until] <= '9' {
			until++
		}
		d, err := strconv.Atoi(p.rest[:until])
		if err != nil || len(dims) == maxDims {
			return nil, bad
		}
		dims = append(dims, d)
		p.rest = strings.TrimLeft(p.rest[until:], "L ") // Python 2 wrote 3L
		if !p.eat(",") && !strings.HasPrefix(p.rest, ")") {
			return nil, bad
		}
	}
	return dims, nil
}

// appendHeader writes version 1.0 the way NumPy does: padded with spaces so
// that the data starts at a multiple of 64.
func appendHeader(out *bytes.Buffer, descr string, shape []int) error {
	var dims strings.Builder
	for i, d := range shape {
		if i > 0 {
			dims.WriteString(", ")
		}
		dims.WriteString(strconv.Itoa(d))
	}
	if len(shape) == 1 {
		dims.WriteByte(',')
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	total := (len(magic) + 4 + len(text) + 1 + 63) / 64 * 64
	size := total - len(magic) - 4
	if size > math.MaxUint16 {
		return fmt.Errorf("%w: %d dimensions make a header too long", ErrFormat, len(shape))
	}
	out.WriteString(magic)
	out.Write([]byte{1, 0, byte(size), byte(size >> 8)})
	out.WriteString(text)
	out.WriteString(strings.Repeat(" ", size-len(text)-1))
	out.WriteByte('\n')
	return nil
}
