package vision

import (
	"fmt"
	"slices"
)

// BoxOrder says what the four numbers of a box are.
type BoxOrder int

const (
	CornersYX BoxOrder = iota // y, x, y, x of two corners, as TensorFlow has them
	CornersXY                 // x, y, x, y of two corners, as torchvision has them
	Centred                   // x, y of the centre, width, height
)

// Boxes reads boxes (boxes, 4) and scores (classes, boxes), which is what ONNX's
// NonMaxSuppression reads. How many boxes that leaves depends on the image, which ml.ONNX
// can't compute; the network ends before it then, and this is the rest:
//
//	model := ml.ONNX(ssc, "faces", file, onnx.Output("boxes", "scores")) // its first two inputs
//
// Each class of a box with enough score is a detection.
type Boxes struct {
	Classes []string // all that the network has scores of, in its order
	Order   BoxOrder
	// Parts says that boxes go from 0 to 1, as parts of the input's width and height.
	Parts bool
	NMS   NMS
}

// Detections is part of [Head]: the boxes' output comes first, then the scores'.
func (h Boxes) Detections(width, height int, outputs ...[]float32) ([]Detection, error) {
	if err := h.outputs(len(outputs)); err != nil {
		return nil, err
	}
	boxes, scores := outputs[0], outputs[1]
	n := len(boxes) / 4
	if n == 0 || len(boxes) != 4*n || len(scores) != n*len(h.Classes) {
		return nil, fmt.Errorf("%w: Boxes with %d classes reads boxes of 4 floats and as many scores for each class, the outputs have %d and %d floats; give as many Classes as there are scores of", ErrOutput, len(h.Classes), len(boxes), len(scores))
	}
	across, down := float32(1), float32(1)
	if h.Parts {
		across, down = float32(width), float32(height)
	}
	var found []Detection
	for i, score := range scores {
		if score >= h.NMS.least() {
			class, at := i/n, i%n
			found = append(found, Detection{h.box(boxes[4*at:4*at+4], across, down), class, h.Classes[class], score})
		}
	}
	return h.NMS.Keep(found), nil
}

// box reads a box, in units of so many pixels.
func (h Boxes) box(b []float32, across, down float32) Box {
	switch h.Order {
	case Centred:
		return Around(b[0]*across, b[1]*down, b[2]*across, b[3]*down)
	case CornersYX:
		b = []float32{b[1], b[0], b[3], b[2]}
	}
	return Box{min(b[0], b[2]) * across, min(b[1], b[3]) * down, max(b[0], b[2]) * across, max(b[1], b[3]) * down}
}

// Check is part of [ShapeChecker].
func (h Boxes) Check(outputs ...[]int) error {
	if err := h.outputs(len(outputs)); err != nil {
		return err
	}
	boxes, scores := outputs[0], outputs[1]
	n := 0
	if len(boxes) >= 2 {
		n = boxes[len(boxes)-2]
	}
	if n > 0 && slices.Equal(long(boxes), long([]int{n, 4})) && slices.Equal(long(scores), long([]int{len(h.Classes), n})) {
		return nil
	}
	return fmt.Errorf("%w: Boxes with %d classes reads boxes [boxes 4] and scores [%d boxes], the network gives %v and %v; give as many Classes as there are scores of", ErrOutput, len(h.Classes), len(h.Classes), boxes, scores)
}

// outputs refuses another number of outputs, and a head that can't be.
func (h Boxes) outputs(n int) error {
	if err := twoOutputs("Boxes", n); err != nil {
		return err
	}
	if h.Order < CornersYX || h.Order > Centred {
		return fmt.Errorf("vision: order %d of boxes is none; there are CornersYX, CornersXY and Centred", h.Order)
	}
	return someClasses("Boxes", h.Classes)
}
