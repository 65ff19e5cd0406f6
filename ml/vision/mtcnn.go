package vision

import (
	"fmt"
	"math"
	"slices"
)

// MTCNN reads what the first network of a multi-task cascade gives (Zhang and others,
// 2016; generateBoundingBox of facenet's detect_face.py), which slides over an image with
// a step of 2 pixels and a window of 12: for each place, the corrections of the window's
// corners (rows, cols, 4), as parts of its size, and the scores of no face and of a face
// (rows, cols, 2). To find faces of any size, run it on an image at several sizes.
//
// Each window with enough score is a detection; NMS compares the windows as they are, then
// they are corrected. The two networks behind it look at the
// detections' pieces of the image, made square by [Square], cut out by [Image.Crop] and
// scaled to 24x24 and 48x48; their corrections are [Corrected].
type MTCNN struct {
	// Cols is the length of the output's second axis.
	Cols int
	// Turned says that the first axis goes across, as where the network reads images
	// of the layout NWHC.
	Turned bool
	NMS    NMS // usual are a Score of 0.6 and an IoU of 0.5
}

// Detections is part of [Head]: the boxes' output comes first, then the scores'.
func (h MTCNN) Detections(_, _ int, outputs ...[]float32) ([]Detection, error) {
	found, err := h.windows(outputs)
	if err != nil {
		return nil, err
	}
	for k, d := range found {
		found[k].Box, found[k].Class = Corrected(d.Box, outputs[0][4*d.Class:4*d.Class+4]), 0
	}
	return slices.DeleteFunc(found, func(d Detection) bool { return !d.Box.finite() }), nil
}

// windows returns the windows that stay, as they are. The class of each is its place.
func (h MTCNN) windows(outputs [][]float32) ([]Detection, error) {
	if len(outputs) != 2 || h.Cols < 1 || len(outputs[1])%(2*h.Cols) != 0 || len(outputs[0]) != 2*len(outputs[1]) {
		return nil, fmt.Errorf("%w: MTCNN with %d columns reads two outputs, of boxes (rows, columns, 4) and of scores (rows, columns, 2)", ErrOutput, h.Cols)
	}
	const step, window = 2, 12
	var found []Detection
	for i := range len(outputs[1]) / 2 {
		score := outputs[1][2*i+1]
		if score < h.NMS.least() {
			continue
		}
		x, y := float32(step*(i%h.Cols)), float32(step*(i/h.Cols))
		if h.Turned {
			x, y = y, x
		}
		found = append(found, Detection{Box{x, y, x + window, y + window}, i, "face", score})
	}
	windows := h.NMS
	windows.AcrossClasses = true
	return windows.Keep(found), nil
}

// Check is part of [ShapeChecker].
func (h MTCNN) Check(outputs ...[]int) error {
	if err := twoOutputs("MTCNN", len(outputs)); err != nil {
		return err
	}
	rows, cols := 0, 0
	if s := outputs[0]; len(s) >= 3 {
		rows, cols = s[len(s)-3], s[len(s)-2]
	}
	if cols == h.Cols && slices.Equal(long(outputs[0]), long([]int{rows, cols, 4})) && slices.Equal(long(outputs[1]), long([]int{rows, cols, 2})) {
		return nil
	}
	return fmt.Errorf("%w: MTCNN with %d columns reads boxes [rows %d 4] and scores [rows %d 2], the network gives %v and %v; give the length of the second axis as Cols", ErrOutput, h.Cols, h.Cols, h.Cols, outputs[0], outputs[1])
}

// Corrected moves a box's corners by parts of its width and height: left, top, right,
// bottom.
func Corrected(b Box, by []float32) Box {
	w, h := b.X2-b.X1, b.Y2-b.Y1
	return Box{b.X1 + by[0]*w, b.Y1 + by[1]*h, b.X2 + by[2]*w, b.Y2 + by[3]*h}
}

// Square returns the square with the box's centre that has its longer side.
func Square(b Box) Box {
	side := max(b.X2-b.X1, b.Y2-b.Y1)
	return Around((b.X1+b.X2)/2, (b.Y1+b.Y2)/2, side, side)
}

// Crop returns a piece of the image, to the nearest pixels; what lies beside the image is
// black.
func (m *Image) Crop(b Box) (*Image, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	const far = maxPixels // of any image
	if !b.finite() || max(b.X2, b.Y2, -b.X1, -b.Y1) > far {
		return nil, fmt.Errorf("%w: %v cut out of %dx%d pixels", ErrSize, b, m.Width, m.Height)
	}
	left, top := nearest(b.X1), nearest(b.Y1)
	width, height := nearest(b.X2)-left, nearest(b.Y2)-top
	if width < 1 || height < 1 || width > maxPixels/height {
		return nil, fmt.Errorf("%w: a piece of %dx%d pixels; it has at least 1 and at most %d", ErrSize, width, height, maxPixels)
	}
	out := NewImage(width, height)
	from, until := max(left, 0), min(left+width, m.Width)
	for y := max(top, 0); y < min(top+height, m.Height) && from < until; y++ {
		copy(out.Pix[3*((y-top)*width+from-left):], m.Pix[3*(y*m.Width+from):3*(y*m.Width+until)])
	}
	return out, nil
}

// nearest rounds a place to a whole one.
func nearest(v float32) int { return int(math.Round(float64(v))) }
