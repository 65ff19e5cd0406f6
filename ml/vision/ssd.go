package vision

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// SSD reads the two outputs of a single-shot detector (Liu and others, 2016): for each
// prior, the offsets of a box (priors, 4), and the score of the background and of each
// class (priors, 1 + classes). The box is
//
//	x = prior.x + offset[0] * Variances[0] * prior.width    width  = prior.width * exp(offset[2] * Variances[1])
//	y = prior.y + offset[1] * Variances[0] * prior.height   height = prior.height * exp(offset[3] * Variances[1])
//
// (ssd.pytorch/layers/box_utils.py, decode). Each class of a prior with enough score is a
// detection.
type SSD struct {
	Priors []Prior
	// Variances are how far offsets go, for centres and for sizes; 0 stands for 0.1 and
	// 0.2. Torchvision's weights of 10 and 5 are the same.
	Variances [2]float32
	Classes   []string // without the background
	// Softmax says that the scores aren't probabilities yet.
	Softmax bool
	NMS     NMS
}

// Prior is a box that offsets are added to: its centre and its size, as parts of the
// input's width and height from 0 to 1.
type Prior struct{ X, Y, Width, Height float32 }

// PriorLayer is the grid of priors that belongs to a feature map: in each cell's middle
// one of each size.
type PriorLayer struct {
	Rows, Cols int
	Sizes      [][2]float32 // width and height, as parts of the input's
}

// Priors lists priors as networks do: layer by layer, row by row, cell by cell, size by
// size.
func Priors(layers ...PriorLayer) []Prior {
	var all []Prior
	for _, l := range layers {
		for y := range l.Rows {
			for x := range l.Cols {
				for _, s := range l.Sizes {
					all = append(all, Prior{(float32(x) + 0.5) / float32(l.Cols), (float32(y) + 0.5) / float32(l.Rows), s[0], s[1]})
				}
			}
		}
	}
	return all
}

// Detections is part of [Head]: the boxes' output comes first, then the scores'.
func (h SSD) Detections(width, height int, outputs ...[]float32) ([]Detection, error) {
	n, size := len(h.Priors), 1+len(h.Classes)
	if err := twoOutputs("SSD", len(outputs)); err != nil {
		return nil, err
	}
	offsets, scores := outputs[0], outputs[1]
	if len(offsets) != 4*n || len(scores) != size*n {
		return nil, fmt.Errorf("%w: SSD with %d priors and %d classes reads boxes of %d floats and scores of %d, there are %d and %d; give the network's Priors and its Classes without the background", ErrOutput, n, len(h.Classes), 4*n, size*n, len(offsets), len(scores))
	}
	var found []Detection
	probabilities := make([]float32, size)
	for i := range n {
		copy(probabilities, scores[size*i:])
		if h.Softmax {
			Softmax(probabilities)
		}
		for class, score := range probabilities[1:] {
			if score >= h.NMS.least() {
				box := h.box(h.Priors[i], offsets[4*i:4*i+4], float32(width), float32(height))
				found = append(found, Detection{box, class, h.Classes[class], score})
			}
		}
	}
	return h.NMS.Keep(found), nil
}

// Check is part of [ShapeChecker].
func (h SSD) Check(outputs ...[]int) error {
	if err := twoOutputs("SSD", len(outputs)); err != nil {
		return err
	}
	n, size := len(h.Priors), 1+len(h.Classes)
	if slices.Equal(long(outputs[0]), long([]int{n, 4})) && slices.Equal(long(outputs[1]), long([]int{n, size})) {
		return nil
	}
	return fmt.Errorf("%w: SSD with %d priors and %d classes reads boxes [%d 4] and scores [%d %d], the network gives %v and %v; give the network's Priors and its Classes without the background", ErrOutput, n, len(h.Classes), n, n, size, outputs[0], outputs[1])
}

// twoOutputs refuses another number of outputs.
func twoOutputs(head string, outputs int) error {
	if outputs != 2 {
		return fmt.Errorf("%w: %s reads two outputs, of boxes and of scores; there are %d", ErrOutput, head, outputs)
	}
	return nil
}

// box decodes a prior's offsets.
func (h SSD) box(p Prior, offset []float32, width, height float32) Box {
	centres, sizes := cmp.Or(h.Variances[0], 0.1), cmp.Or(h.Variances[1], 0.2)
	// at most as large as torchvision lets it become: 1000/16 of the prior
	grown := func(x float32) float32 { return float32(math.Exp(min(float64(x*sizes), math.Log(1000.0/16)))) }
	return Around(
		(p.X+offset[0]*centres*p.Width)*width, (p.Y+offset[1]*centres*p.Height)*height,
		p.Width*grown(offset[2])*width, p.Height*grown(offset[3])*height)
}
