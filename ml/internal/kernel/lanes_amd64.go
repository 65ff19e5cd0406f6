package kernel

// The loops of assembly add n elements, a multiple of sixteen and not 0, to sums.

//go:noescape
func addLanes(sums *float64, a, b *float32, n int, mean float64)

//go:noescape
func dotLanes(sums *float64, a, b *float32, n int, mean float64)

//go:noescape
func squareLanes(sums *float64, a, b *float32, n int, mean float64)

//go:noescape
func gradLanes(sums *float64, a, b *float32, n int, mean float64)

// runLanes runs a loop over as much of the slices as whole turns cover and returns
// how much that is.
func runLanes(l Level, k laneKind, s *sums, a, b []float32, mean float64) (n int) {
	n = len(a) &^ (lanes - 1)
	if l == Portable || n == 0 {
		return 0
	}
	switch k {
	case addKind:
		addLanes(&s[0], &a[0], nil, n, 0)
	case dotKind:
		dotLanes(&s[0], &a[0], &b[0], n, 0)
	case squareKind:
		squareLanes(&s[0], &a[0], nil, n, mean)
	case gradKind:
		gradLanes(&s[0], &a[0], &b[0], n, mean)
	}
	return n
}

// addRowsVec adds each of n rows of gy, dim long, to the table's row that its id
// names, one after another, unless the id is to be ignored. n is not 0.
//
//go:noescape
func addRowsVec(table, gy *float32, ids *int32, n, dim int, ignore int32)
