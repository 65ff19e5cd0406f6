package compile

import "slices"

// repetitions fills buf with as many repetitions of row as it holds, or is row.
func repetitions(buf, row []float32) []float32 {
	if 2*len(row) > len(buf) {
		return row
	}
	n := 0
	for n+len(row) <= len(buf) {
		n += copy(buf[n:], row)
	}
	return buf[:n]
}

// repeatedRow is a copy of a row, or of its repetitions in a block.
func repeatedRow(row []float32) []float32 {
	return slices.Clone(repetitions(make([]float32, pointBlock), row))
}

// shortened returns the row, or if it repeats its first c elements a few repetitions.
func shortened(row []float32, c int) []float32 {
	for i, v := range row[c:] {
		if v != row[i] {
			return row
		}
	}
	return repeatedRow(row[:c])
}
