package kernel

import (
	"errors"
	"fmt"
)

// ErrIndex is wrapped by the errors of Gather, ScatterAdd and Lookup.
var ErrIndex = errors.New("index outside the table")

// Gather copies row ids[i] of the rows x dim table to row i of y. An id equal to
// ignore gives a row of zeros (Chainer's ignore_label).
func Gather(y, table []float32, rows, dim int, ids []int32, ignore int32) error {
	for i, id := range ids {
		dst := y[i*dim : (i+1)*dim]
		if id == ignore {
			clear(dst)
			continue
		}
		if id < 0 || int(id) >= rows {
			return fmt.Errorf("id %d at position %d of a table of %d rows: %w", id, i, rows, ErrIndex)
		}
		copy(dst, table[int(id)*dim:])
	}
	return nil
}

// ScatterAdd adds row i of gy to row ids[i] of the rows x dim table gtable, the
// gradient of Gather, in the order of i. gtable is not cleared first, and is not
// changed if an id is outside.
func ScatterAdd(gtable, gy []float32, rows, dim int, ids []int32, ignore int32) error {
	return scatterAdd(active, gtable, gy, rows, dim, ids, ignore)
}

func scatterAdd(l Level, gtable, gy []float32, rows, dim int, ids []int32, ignore int32) error {
	for i, id := range ids {
		if id != ignore && (id < 0 || int(id) >= rows) {
			return fmt.Errorf("id %d at position %d of a table of %d rows: %w", id, i, rows, ErrIndex)
		}
	}
	if len(ids) == 0 || dim == 0 {
		return nil
	}
	gtable, gy = gtable[:rows*dim], gy[:len(ids)*dim]
	if l != Portable && rows > 0 {
		addRowsVec(&gtable[0], &gy[0], &ids[0], len(ids), dim, ignore)
		return nil
	}
	for i, id := range ids {
		if id != ignore {
			dst := gtable[int(id)*dim : (int(id)+1)*dim]
			add(Portable, dst, dst, gy[i*dim:])
		}
	}
	return nil
}

// Lookup is Gather by ids that are whole numbers kept in float32; one below zero
// counts from behind the last row.
func Lookup(y, table []float32, rows, dim int, ids []float32) error {
	for i, v := range ids {
		if v < 0 {
			v += float32(rows)
		}
		id := int(v)
		if float32(id) != v || id < 0 || id >= rows { // a NaN is not equal
			return fmt.Errorf("id %v at position %d of a table of %d rows: %w", ids[i], i, rows, ErrIndex)
		}
		copy(y[i*dim:(i+1)*dim], table[id*dim:])
	}
	return nil
}
