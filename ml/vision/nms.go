package vision

import (
	"cmp"
	"math"
	"slices"
)

// maxCandidates bounds the detections that are compared with one another; the best
// stay. Ultralytics has the same limit.
const maxCandidates = 30_000

// NMS is non-maximum suppression: of detections of one class that lie on each other the
// one with the highest score stays. The zero value has the defaults.
type NMS struct {
	Score float32 // the least that a detection must have; 0 stands for 0.25
	IoU   float32 // with more, two detections are the same object; 0 stands for 0.45
	Max   int     // detections that stay at most; 0 stands for 300
	// AcrossClasses compares detections of different classes too.
	AcrossClasses bool
	// OfSmaller holds what two boxes have in common against the smaller of them, not against
	// both together: so that a part of an object isn't another one.
	OfSmaller bool
	// Sigma, if it is above 0, is that of Soft-NMS (Bodla and others, 2017, with the
	// Gaussian): a detection that lies on a better one is not left out, its score is
	// multiplied by exp(-IoU²/Sigma) and must still be at least Score. Usual is 0.5.
	Sigma float32
}

// least is the score that a detection must have.
func (n NMS) least() float32 { return cmp.Or(n.Score, 0.25) }

// Keep returns those of the detections that stay, the best first; equal scores keep
// their order. It changes found.
func (n NMS) Keep(found []Detection) []Detection {
	found = slices.DeleteFunc(found, func(d Detection) bool { return !(d.Score >= n.least()) || !d.Box.finite() })
	slices.SortStableFunc(found, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	found = found[:min(len(found), maxCandidates)]
	most := n.Max
	if most <= 0 {
		most = 300
	}
	var kept []Detection
	for len(found) > 0 && len(kept) < most {
		best := found[0]
		kept = append(kept, best)
		found = n.suppress(best, found[1:])
	}
	return kept
}

// suppress leaves out, or weakens, what lies on the best.
func (n NMS) suppress(best Detection, others []Detection) []Detection {
	weaker := false
	left := others[:0]
	for _, d := range others {
		if d.Class == best.Class || n.AcrossClasses {
			iou := best.Box.IoU(d.Box)
			if n.OfSmaller && iou > 0 {
				iou = best.Box.common(d.Box) / min(best.Box.Area(), d.Box.Area())
			}
			if n.Sigma <= 0 && iou > cmp.Or(n.IoU, 0.45) {
				continue
			}
			if n.Sigma > 0 && iou > 0 {
				d.Score *= float32(math.Exp(float64(-iou * iou / n.Sigma)))
				weaker = true
			}
			if d.Score < n.least() {
				continue
			}
		}
		left = append(left, d)
	}
	if weaker {
		slices.SortStableFunc(left, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	}
	return left
}
