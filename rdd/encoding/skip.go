package encoding

import "math"

// Skip returns what follows the value that src begins with, of whatever kind:
// one that a type no longer has a field for.
func Skip(src []byte) ([]byte, error) {
	for left := 1; left > 0; left-- {
		size, values, err := extent(src)
		if err != nil {
			return src, err
		}
		src = src[size:]
		left += values
		if left > len(src)+1 { // each takes a byte at least
			return src, short("a value")
		}
	}
	return src, nil
}

// extent returns the length of the value that src begins with, up to the values
// in it, and how many those are.
func extent(src []byte) (size, values int, err error) {
	if len(src) == 0 {
		return 0, 0, short("a value")
	}
	left := func(rest []byte, err error) (int, int, error) { return len(src) - len(rest), 0, err }
	switch c := src[0]; {
	case c == codeNil || c == codeFalse || c == codeTrue || c <= fixPositive || c >= fixNegative:
		return 1, 0, nil
	case c >= codeUint8 && c <= codeInt64:
		_, _, rest, err := number(src)
		return left(rest, err)
	case c == codeFloat32:
		_, rest, err := DecodeFloat32(src)
		return left(rest, err)
	case c == codeFloat64:
		_, rest, err := DecodeFloat64(src)
		return left(rest, err)
	case c&^fixStrMax == fixStr || c >= codeStr8 && c <= codeStr32:
		_, rest, err := DecodeString(src)
		return left(rest, err)
	case c >= codeBin8 && c <= codeBin32:
		_, rest, err := DecodeBytes(src)
		return left(rest, err)
	case c&^fixArrayMax == fixArray || c == codeArray16 || c == codeArray32:
		n, rest, err := DecodeArrayLen(src)
		return len(src) - len(rest), n, err
	case isMap(c):
		n, rest, err := decodeMapLen(src)
		return len(src) - len(rest), min(n, math.MaxInt/2) * 2, err
	}
	head, n, ok := extHead(src)
	if !ok || len(src)-head < n {
		return 0, 0, unexpected(src[0], "a value")
	}
	return head + n, 0, nil
}
