package onnx_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// file writes ONNX files for tests.
type file struct {
	version int
	dims    []int // of the input, without the batch; 0 is open
	rows    int   // fixed batch, 0 is open
	dtype   int64 // of the input
	ns      string
	others  [][]byte // further inputs
	nodes   [][]byte
	inits   [][]byte
	outs    map[string][]byte // outputs with a shape
}

// ofKind is an attribute of the value 1 that says that it is of another kind.
type ofKind int64

// rowFile starts a file of opset 17 whose input x has rows of the given shape.
func rowFile(shape ...int) *file { return &file{version: 17, dims: shape, dtype: 1} }

// tokenFile is rowFile with integers.
func tokenFile(shape ...int) *file { return &file{version: 17, dims: shape, dtype: 7} }

func (f *file) opset(v int) *file     { f.version = v; return f }
func (f *file) batch(n int) *file     { f.rows = n; return f }
func (f *file) domain(d string) *file { f.ns = d; return f }

func msg(b []byte, num protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), body)
}

func varint(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

// node adds a node; inputs and outputs are separated by spaces, one that is left
// out is _, attributes are names and values in turn.
func (f *file) node(op, inputs, outputs string, attrs ...any) *file {
	var b []byte
	for _, s := range strings.Fields(inputs) {
		b = msg(b, 1, []byte(strings.Trim(s, "_")))
	}
	for _, s := range strings.Fields(outputs) {
		b = msg(b, 2, []byte(strings.Trim(s, "_")))
	}
	b = msg(b, 3, []byte(fmt.Sprintf("%s_%d", op, len(f.nodes))))
	b = msg(b, 4, []byte(op))
	if f.ns != "" {
		b = msg(b, 7, []byte(f.ns))
	}
	for i := 0; i < len(attrs); i += 2 {
		a := msg(nil, 1, []byte(attrs[i].(string)))
		switch v := attrs[i+1].(type) {
		case float32:
			a = protowire.AppendFixed32(protowire.AppendTag(a, 2, protowire.Fixed32Type), math.Float32bits(v))
		case int:
			a = varint(a, 3, int64(v))
		case int64: // an array of one integer
			a = msg(a, 5, msg(varint(varint(nil, 1, 1), 2, 7), 9, binary.LittleEndian.AppendUint64(nil, uint64(v))))
		case graphAttr:
			a = msg(a, 6, v)
		case ofKind: // an integer that says what kind it is of
			a = varint(varint(a, 3, 1), 20, int64(v))
		case string:
			a = msg(a, 4, []byte(v))
		case []int: // unpacked, as most writers do
			for _, n := range v {
				a = varint(a, 8, int64(n))
			}
		case []float32:
			for _, x := range v {
				a = protowire.AppendFixed32(protowire.AppendTag(a, 7, protowire.Fixed32Type), math.Float32bits(x))
			}
		case []string:
			for _, s := range v {
				a = msg(a, 9, []byte(s))
			}
		}
		b = msg(b, 5, a)
	}
	f.nodes = append(f.nodes, b)
	return f
}

// float adds a constant; without a shape it is a scalar.
func (f *file) float(name string, v []float32, shape ...int) *file {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return f.array(name, 1, raw, shape)
}

// int adds a list of integers.
func (f *file) int(name string, v ...int) *file {
	var packed []byte
	for _, n := range v {
		packed = protowire.AppendVarint(packed, uint64(n))
	}
	b := varint(msg(varint(nil, 2, 7), 8, []byte(name)), 1, int64(len(v)))
	f.inits = append(f.inits, msg(b, 7, packed))
	return f
}

// scalar adds one integer without dimensions.
func (f *file) scalar(name string, v int) *file {
	return f.array(name, 7, binary.LittleEndian.AppendUint64(nil, uint64(v)), nil)
}

func (f *file) array(name string, dtype int64, raw []byte, shape []int) *file {
	b := msg(varint(nil, 2, dtype), 8, []byte(name))
	for _, d := range shape {
		b = varint(b, 1, int64(d))
	}
	f.inits = append(f.inits, msg(b, 9, raw))
	return f
}

// input adds a further input; a dimension of 0 is open.
func (f *file) input(name string, dtype int64, dims ...int) *file {
	f.others = append(f.others, info(name, dtype, dims))
	return f
}

// info describes an input; its open dimensions are d0, d1, ...
func info(name string, dtype int64, dims []int) []byte {
	var shape []byte
	for i, n := range dims {
		d := msg(nil, 2, []byte(fmt.Sprintf("d%d", i)))
		if n > 0 {
			d = varint(nil, 1, int64(n))
		}
		shape = msg(shape, 1, d)
	}
	return msg(msg(nil, 1, []byte(name)), 2, msg(nil, 1, msg(varint(nil, 1, dtype), 2, shape)))
}

// bytes finishes the file with the named outputs.
func (f *file) bytes(outputs ...string) []byte {
	g := msg(nil, 11, info("x", f.dtype, append([]int{f.rows}, f.dims...)))
	for _, name := range outputs {
		out, ok := f.outs[name]
		if !ok {
			out = msg(nil, 1, []byte(name))
		}
		g = msg(g, 12, out)
	}
	for _, i := range f.others {
		g = msg(g, 11, i)
	}
	for _, n := range f.nodes {
		g = msg(g, 1, n)
	}
	for _, t := range f.inits {
		g = msg(g, 5, t)
	}
	return msg(msg(varint(nil, 1, 8), 7, g), 8, varint(nil, 2, int64(f.version)))
}

// graphAttr is a graph within a node.
type graphAttr []byte

// graph makes a graph of the nodes for a node's attribute; it reads names outside.
func (f *file) graph(outputs ...string) graphAttr {
	var g []byte
	for _, n := range f.nodes {
		g = msg(g, 1, n)
	}
	for _, t := range f.inits {
		g = msg(g, 5, t)
	}
	for _, name := range outputs {
		g = msg(g, 12, msg(nil, 1, []byte(name)))
	}
	return g
}
