package onnx

import "fmt"

// The messages that describe inputs and outputs.

func appendInfo(to *[]valueInfo, b []byte) error {
	v := valueInfo{}
	err := each("ValueInfoProto", b, func(x field) error {
		switch x.num {
		case 1:
			return x.text(&v.name)
		case 2:
			return x.message(v.parseType)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("input or output %q: %w", v.name, err)
	}
	*to = append(*to, v)
	return nil
}

func (v *valueInfo) parseType(b []byte) error {
	return each("TypeProto", b, func(x field) error {
		if x.num != 1 { // sequences, maps, optionals
			return nil
		}
		return x.message(func(b []byte) error {
			return each("TypeProto.Tensor", b, func(x field) error {
				switch x.num {
				case 1:
					return x.integer(&v.dtype)
				case 2:
					v.known = true
					return x.message(v.parseShape)
				}
				return nil
			})
		})
	})
}

func (v *valueInfo) parseShape(b []byte) error {
	return each("TensorShapeProto", b, func(x field) error {
		if x.num != 1 {
			return nil
		}
		if len(v.dims) == maxDims {
			return fmt.Errorf("%w: more than %d dimensions", ErrTooLarge, maxDims)
		}
		d := dimension{}
		err := x.message(func(b []byte) error {
			return each("TensorShapeProto.Dimension", b, func(x field) error {
				switch x.num {
				case 1:
					d.given = int64(x.u) >= 0 // some writers say -1 for an open one
					err := x.integer(&d.value)
					d.value = max(0, d.value)
					return err
				case 2:
					return x.text(&d.name)
				}
				return nil
			})
		})
		v.dims = append(v.dims, d)
		return err
	})
}
