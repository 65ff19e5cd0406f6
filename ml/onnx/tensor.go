package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Element types of TensorProto.
const (
	typeFloat   = 1
	typeUint8   = 2
	typeInt8    = 3
	typeUint16  = 4
	typeInt16   = 5
	typeInt32   = 6
	typeInt64   = 7
	typeBool    = 9
	typeFloat16 = 10
	typeDouble  = 11
	typeUint32  = 12
	typeUint64  = 13
	typeBrain   = 16 // bfloat16
)

// widths are the bytes of an element of each type that is read. The table is never
// written.
var widths = map[int64]int{typeFloat: 4, typeDouble: 8, typeFloat16: 2, typeBrain: 2, typeInt64: 8, typeUint64: 8,
	typeInt32: 4, typeUint32: 4, typeInt16: 2, typeUint16: 2, typeInt8: 1, typeUint8: 1, typeBool: 1}

// isNumber tells whether elements of a type are read, truth values too.
func isNumber(dtype int64) bool { return widths[dtype] > 0 }

// isFloat tells whether elements of a type are numbers with a fraction.
func isFloat(dtype int64) bool {
	return dtype == typeFloat || dtype == typeDouble || dtype == typeFloat16 || dtype == typeBrain
}

// limits are the least and the largest number of a type of integers.
func limits(dtype int64) (low, high float64) {
	if dtype == typeBool {
		return 0, 1
	}
	bits := float64(8 * widths[dtype])
	switch dtype {
	case typeUint8, typeUint16, typeUint32, typeUint64:
		return 0, math.Pow(2, bits) - 1
	}
	return -math.Pow(2, bits-1), math.Pow(2, bits-1) - 1
}

// typeName is ONNX's name of an element type.
func typeName(dtype int64) string {
	names := [...]string{"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
		"float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
		"float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2", "float6e2m3", "float6e3m2"}
	if dtype < 0 || dtype >= int64(len(names)) {
		return fmt.Sprintf("type %d", dtype)
	}
	return names[dtype]
}

// maxRank bounds the dimensions of an array.
const maxRank = 8

// shape returns the dimensions of an array that is in the file.
func (t *tensorProto) shape() (shape []int, size int, err error) {
	if len(t.dims) > maxRank {
		return nil, 0, fmt.Errorf("%w: array %q has %d dimensions, the most is %d", ErrUnsupported, t.name, len(t.dims), maxRank)
	}
	size = 1
	shape = make([]int, len(t.dims))
	for i, d := range t.dims {
		if d < 0 || d > math.MaxInt32 || d > 0 && int64(size) > math.MaxInt32/d {
			return nil, 0, fmt.Errorf("%w: array %q has the impossible shape %v", ErrFormat, t.name, t.dims)
		}
		shape[i] = int(d)
		size *= int(d)
	}
	if t.external {
		return nil, 0, fmt.Errorf("%w: array %q lies in another file; save the model as one file, or give onnx.Files", ErrUnsupported, t.name)
	}
	return shape, size, nil
}

// counted says whether an array holds as many elements as its shape.
func (t *tensorProto) counted(n, size int) error {
	if n != size {
		return fmt.Errorf("%w: array %q of shape %v holds %d elements", ErrFormat, t.name, t.dims, n)
	}
	return nil
}

// raws is counted for elements of some bytes each.
func (t *tensorProto) raws(width, size int) error {
	if len(t.raw)%width != 0 {
		return fmt.Errorf("%w: array %q of shape %v holds %d bytes, want %d", ErrFormat, t.name, t.dims, len(t.raw), width*size)
	}
	return t.counted(len(t.raw)/width, size)
}

// float reports whether the array holds numbers with a fraction.
func (t *tensorProto) float() bool { return isFloat(t.dtype) }

// float32s returns the elements of an array of floats.
func (t *tensorProto) float32s() (v []float32, shape []int, err error) {
	shape, size, err := t.shape()
	if err != nil {
		return nil, nil, err
	}
	width := widths[t.dtype]
	if t.raw != nil {
		if err := t.raws(width, size); err != nil {
			return nil, nil, err
		}
		v = make([]float32, size)
		for i := range v {
			b := t.raw[i*width:]
			switch t.dtype {
			case typeFloat:
				v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			case typeDouble:
				v[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
			case typeBrain:
				v[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
			default:
				v[i] = half(binary.LittleEndian.Uint16(b))
			}
		}
		return v, shape, nil
	}
	switch t.dtype {
	case typeFloat:
		v = t.floats
	case typeDouble:
		for _, d := range t.doubles {
			v = append(v, float32(d))
		}
	case typeBrain:
		for _, d := range t.ints {
			v = append(v, math.Float32frombits(uint32(d)<<16))
		}
	default: // halves are kept in int32_data
		for _, d := range t.ints {
			v = append(v, half(uint16(d)))
		}
	}
	return v, shape, t.counted(len(v), size)
}

// int64s returns the elements of an array of integers or truth values.
func (t *tensorProto) int64s() (v []int64, shape []int, err error) {
	shape, size, err := t.shape()
	if err != nil {
		return nil, nil, err
	}
	width := widths[t.dtype]
	if width == 0 {
		return nil, nil, fmt.Errorf("%w: array %q has elements of %s", ErrUnsupported, t.name, typeName(t.dtype))
	}
	if t.raw == nil {
		v = t.ints
		if v == nil {
			v = []int64{}
		}
		return v, shape, t.counted(len(v), size)
	}
	if err := t.raws(width, size); err != nil {
		return nil, nil, err
	}
	v = make([]int64, size)
	for i := range v {
		b := t.raw[i*width:]
		switch t.dtype {
		case typeInt64, typeUint64:
			v[i] = int64(binary.LittleEndian.Uint64(b))
			if v[i] < 0 && t.dtype == typeUint64 {
				return nil, nil, fmt.Errorf("%w: array %q holds %d, which int64 can't", ErrUnsupported, t.name, uint64(v[i]))
			}
		case typeInt32:
			v[i] = int64(int32(binary.LittleEndian.Uint32(b)))
		case typeUint32:
			v[i] = int64(binary.LittleEndian.Uint32(b))
		case typeInt16:
			v[i] = int64(int16(binary.LittleEndian.Uint16(b)))
		case typeUint16:
			v[i] = int64(binary.LittleEndian.Uint16(b))
		case typeInt8:
			v[i] = int64(int8(b[0]))
		default:
			v[i] = int64(b[0])
		}
	}
	return v, shape, nil
}

// half widens an IEEE 754 binary16.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero and subnormal numbers: frac * 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// shapeName writes a shape as in messages.
func shapeName(s []int) string { return nn.FormatShape(s) }
