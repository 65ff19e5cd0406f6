package kernel

// lanes is how many sums stand side by side where many elements are added up.
// Element i of a slice goes to sum i%lanes, at every CPU level, so that a result
// depends on the lengths of the slices only.
const lanes = 16

// sums adds up in float64, so that the error doesn't grow with the length. Only
// grad uses the second half.
type sums [2 * lanes]float64

// laneKind names a loop of assembly that adds to sums.
type laneKind int

const (
	addKind laneKind = iota
	dotKind
	squareKind
	gradKind
)

// add adds the elements of x.
func (s *sums) add(l Level, x []float32) {
	for i := runLanes(l, addKind, s, x, nil, 0); i < len(x); i++ {
		s[i&(lanes-1)] += float64(x[i])
	}
}

// dot adds a*b. b is at least as long as a.
func (s *sums) dot(l Level, a, b []float32) {
	b = b[:len(a)]
	for i := runLanes(l, dotKind, s, a, b, 0); i < len(a); i++ {
		s[i&(lanes-1)] += float64(a[i]) * float64(b[i]) // exact products
	}
}

// square adds (x-mean)*(x-mean).
func (s *sums) square(l Level, x []float32, mean float64) {
	for i := runLanes(l, squareKind, s, x, nil, mean); i < len(x); i++ {
		d := float64(x[i]) - mean
		s[i&(lanes-1)] += float64(d * d)
	}
}

// grad adds (x-mean)*gy to the first half and gy to the second. gy is at least as
// long as x.
func (s *sums) grad(l Level, x, gy []float32, mean float64) {
	gy = gy[:len(x)]
	for i := runLanes(l, gradKind, s, x, gy, mean); i < len(x); i++ {
		g := float64(gy[i])
		s[i&(lanes-1)] += float64((float64(x[i]) - mean) * g)
		s[lanes+i&(lanes-1)] += g
	}
}

// total returns the first half's sum.
func (s *sums) total() float64 { return pairwise(s[:lanes]) }

// total2 returns the second half's sum.
func (s *sums) total2() float64 { return pairwise(s[lanes:]) }

// pairwise adds up a power of two of numbers, the halves to each other.
func pairwise(x []float64) float64 {
	for n := len(x) / 2; n > 0; n /= 2 {
		for i := range n {
			x[i] += x[i+n]
		}
	}
	return x[0]
}
