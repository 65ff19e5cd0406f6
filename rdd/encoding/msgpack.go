package encoding

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// Codes of the msgpack format.
const (
	codeNil      = 0xc0
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeFloat32  = 0xca
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeMap16    = 0xde
	codeMap32    = 0xdf
	fixMap       = 0x80
	fixArray     = 0x90
	fixStr       = 0xa0
	fixNegative  = 0xe0
	fixPositive  = 0x7f
	fixArrayMax  = 15
	fixStrMax    = 31
	fixNegBottom = -32
)

// AppendInt appends an integer in the fewest bytes.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= fixNegBottom:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, codeInt8, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, codeInt16), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, codeInt32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeInt64), uint64(v))
}

// AppendUint appends an unsigned integer in the fewest bytes.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v <= fixPositive:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, codeUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, codeUint16), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, codeUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUint64), v)
}

// DecodeInt reads an integer of any width.
func DecodeInt(src []byte) (int64, []byte, error) {
	u, negative, rest, err := number(src)
	if err == nil && !negative && u > math.MaxInt64 {
		err = fmt.Errorf("%w: integer %d is too large", ErrCorrupt, u)
	}
	return int64(u), rest, err
}

// DecodeUint reads an integer of any width that isn't negative.
func DecodeUint(src []byte) (uint64, []byte, error) {
	u, negative, rest, err := number(src)
	if err == nil && negative {
		err = fmt.Errorf("%w: integer %d is negative", ErrCorrupt, int64(u))
	}
	return u, rest, err
}

// number reads any integer as 64 bits and says whether they are a negative one.
func number(src []byte) (u uint64, negative bool, rest []byte, err error) {
	if len(src) == 0 {
		return 0, false, src, short("an integer")
	}
	c := src[0]
	switch {
	case c <= fixPositive:
		return uint64(c), false, src[1:], nil
	case c >= fixNegative:
		return uint64(int64(int8(c))), true, src[1:], nil
	case c < codeUint8 || c > codeInt64:
		return 0, false, src, unexpected(c, "an integer")
	}
	size := 1 << ((c - codeUint8) & 3)
	if len(src) < 1+size {
		return 0, false, src, short("an integer")
	}
	b, rest := src[1:1+size], src[1+size:]
	switch size {
	case 1:
		u = uint64(b[0])
	case 2:
		u = uint64(binary.BigEndian.Uint16(b))
	case 4:
		u = uint64(binary.BigEndian.Uint32(b))
	default:
		u = binary.BigEndian.Uint64(b)
	}
	if c >= codeInt8 {
		shift := 64 - 8*size
		v := int64(u<<shift) >> shift
		return uint64(v), v < 0, rest, nil
	}
	return u, false, rest, nil
}

// AppendFloat32 appends a float of four bytes.
func AppendFloat32(dst []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, codeFloat32), math.Float32bits(v))
}

// DecodeFloat32 reads a float of four bytes.
func DecodeFloat32(src []byte) (float32, []byte, error) {
	if len(src) < 5 {
		return 0, src, short("a float32")
	}
	if src[0] != codeFloat32 {
		return 0, src, unexpected(src[0], "a float32")
	}
	return math.Float32frombits(binary.BigEndian.Uint32(src[1:])), src[5:], nil
}

// AppendFloat64 appends a float of eight bytes.
func AppendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, codeFloat64), math.Float64bits(v))
}

// DecodeFloat64 reads a float of eight bytes.
func DecodeFloat64(src []byte) (float64, []byte, error) {
	if len(src) < 9 {
		return 0, src, short("a float64")
	}
	if src[0] != codeFloat64 {
		return 0, src, unexpected(src[0], "a float64")
	}
	return math.Float64frombits(binary.BigEndian.Uint64(src[1:])), src[9:], nil
}

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

// DecodeBool reads a boolean.
func DecodeBool(src []byte) (bool, []byte, error) {
	if len(src) == 0 {
		return false, src, short("a boolean")
	}
	if src[0] != codeTrue && src[0] != codeFalse {
		return false, src, unexpected(src[0], "a boolean")
	}
	return src[0] == codeTrue, src[1:], nil
}

// AppendString appends a string.
func AppendString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n <= fixStrMax:
		dst = append(dst, fixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, codeStr8, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, codeStr16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, codeStr32), uint32(n))
	}
	return append(dst, s...)
}

// DecodeString reads a string, which aliases src.
func DecodeString(src []byte) (string, []byte, error) {
	if len(src) > 0 && src[0]&^fixStrMax == fixStr {
		n := int(src[0] & fixStrMax)
		if len(src) <= n {
			return "", src, short("a string")
		}
		return alias(src[1 : 1+n]), src[1+n:], nil
	}
	b, rest, err := sized(src, codeStr8, "a string")
	return alias(b), rest, err
}

// AppendBytes appends a byte slice; nil stays nil.
func AppendBytes(dst []byte, b []byte) []byte {
	if b == nil {
		return append(dst, codeNil)
	}
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, codeBin8, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, codeBin16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, codeBin32), uint32(n))
	}
	return append(dst, b...)
}

// DecodeBytes reads a byte slice, which aliases src.
func DecodeBytes(src []byte) ([]byte, []byte, error) {
	if len(src) > 0 && src[0] == codeNil {
		return nil, src[1:], nil
	}
	return sized(src, codeBin8, "bytes")
}

// sized reads what has a length of 1, 2 or 4 bytes after its code.
func sized(src []byte, code8 byte, what string) (b, rest []byte, err error) {
	if len(src) == 0 {
		return nil, src, short(what)
	}
	if src[0] < code8 || src[0] > code8+2 {
		return nil, src, unexpected(src[0], what)
	}
	width := 1 << (src[0] - code8)
	if len(src) < 1+width {
		return nil, src, short(what)
	}
	var n uint64
	for _, c := range src[1 : 1+width] {
		n = n<<8 | uint64(c)
	}
	body := src[1+width:]
	if uint64(len(body)) < n {
		return nil, src, short(what)
	}
	return body[:n:n], body[n:], nil
}

// AppendArrayLen appends the head of an array of n elements.
func AppendArrayLen(dst []byte, n int) []byte {
	switch {
	case n <= fixArrayMax:
		return append(dst, fixArray|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, codeArray16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeArray32), uint32(n))
}

// DecodeArrayLen reads the head of an array. The length is what the bytes say:
// callers must not allocate by it before they have seen the elements.
func DecodeArrayLen(src []byte) (int, []byte, error) {
	if len(src) == 0 {
		return 0, src, short("an array")
	}
	switch c := src[0]; {
	case c&^fixArrayMax == fixArray:
		return int(c & fixArrayMax), src[1:], nil
	case c == codeArray16 && len(src) >= 3:
		return int(binary.BigEndian.Uint16(src[1:])), src[3:], nil
	case c == codeArray32 && len(src) >= 5:
		return int(binary.BigEndian.Uint32(src[1:])), src[5:], nil
	case c == codeArray16 || c == codeArray32:
		return 0, src, short("an array")
	default:
		return 0, src, unexpected(c, "an array")
	}
}

// appendMapLen appends the head of a map of n entries.
func appendMapLen(dst []byte, n int) []byte {
	switch {
	case n <= fixArrayMax:
		return append(dst, fixMap|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, codeMap16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeMap32), uint32(n))
}

// decodeMapLen reads the head of a map, whose length is to be trusted as little
// as an array's.
func decodeMapLen(src []byte) (int, []byte, error) {
	switch {
	case len(src) == 0:
		return 0, src, short("a map")
	case src[0]&^fixArrayMax == fixMap:
		return int(src[0] & fixArrayMax), src[1:], nil
	case src[0] == codeMap16 && len(src) >= 3:
		return int(binary.BigEndian.Uint16(src[1:])), src[3:], nil
	case src[0] == codeMap32 && len(src) >= 5:
		return int(binary.BigEndian.Uint32(src[1:])), src[5:], nil
	case isMap(src[0]):
		return 0, src, short("a map")
	}
	return 0, src, unexpected(src[0], "a map")
}

// isMap reports whether a map begins with the code.
func isMap(code byte) bool {
	return code&^fixArrayMax == fixMap || code == codeMap16 || code == codeMap32
}

func appendNothing(dst []byte, _ struct{}) []byte { return append(dst, codeNil) }

func decodeNothing(src []byte) (struct{}, []byte, error) {
	if len(src) == 0 || src[0] != codeNil {
		return struct{}{}, src, fmt.Errorf("%w: expected nil", ErrCorrupt)
	}
	return struct{}{}, src[1:], nil
}

// alias returns b as a string without copying it.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func short(what string) error { return fmt.Errorf("%w: they end within %s", ErrCorrupt, what) }

func unexpected(code byte, what string) error {
	return fmt.Errorf("%w: expected %s, found code 0x%02x", ErrCorrupt, what, code)
}
