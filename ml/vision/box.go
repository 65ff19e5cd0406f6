package vision

import (
	"fmt"
	"math"
)

// Box is a rectangle in pixels, from its left upper corner to its right lower one.
type Box struct {
	X1 float32 `json:"x1" msgpack:"l"`
	Y1 float32 `json:"y1" msgpack:"t"`
	X2 float32 `json:"x2" msgpack:"r"`
	Y2 float32 `json:"y2" msgpack:"b"`
}

// Around makes a box of its centre, width and height.
func Around(x, y, width, height float32) Box {
	return Box{x - width/2, y - height/2, x + width/2, y + height/2}
}

// Area returns the box's area, 0 if it is empty.
func (b Box) Area() float32 { return max(b.X2-b.X1, 0) * max(b.Y2-b.Y1, 0) }

// Intersect returns what b and c have in common.
func (b Box) Intersect(c Box) Box {
	return Box{min(max(b.X1, c.X1), c.X2), min(max(b.Y1, c.Y1), c.Y2), max(min(b.X2, c.X2), c.X1), max(min(b.Y2, c.Y2), c.Y1)}
}

// IoU returns the intersection over the union of two boxes, from 0 to 1.
func (b Box) IoU(c Box) float32 {
	both := b.common(c)
	if both <= 0 {
		return 0
	}
	return both / (b.Area() + c.Area() - both)
}

// common is the area that two boxes have in common.
func (b Box) common(c Box) float32 {
	return Box{max(b.X1, c.X1), max(b.Y1, c.Y1), min(b.X2, c.X2), min(b.Y2, c.Y2)}.Area()
}

// finite tells whether a box is made of numbers.
func (b Box) finite() bool {
	sum := float64(b.X1) + float64(b.Y1) + float64(b.X2) + float64(b.Y2)
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// Detection is an object that was found.
type Detection struct {
	Box   Box     `json:"box" msgpack:"b"`
	Class int     `json:"class" msgpack:"c"`
	Name  string  `json:"name" msgpack:"n"` // of the class
	Score float32 `json:"score" msgpack:"s"`
}

// String returns the detection for people.
func (d Detection) String() string {
	return fmt.Sprintf("%s %.2f (%.0f, %.0f)-(%.0f, %.0f)", d.Name, d.Score, d.Box.X1, d.Box.Y1, d.Box.X2, d.Box.Y2)
}

// Head reads what a network gives as detections. Their boxes are in pixels of the
// network's input, which has the size width x height. What isn't a number is left out. A Head
// that is a [ShapeChecker] too is held against the network's shapes by [Detector.Check].
type Head interface {
	Detections(width, height int, outputs ...[]float32) ([]Detection, error)
}

// Detector is how a network that detects is used: encode its rows with Encode and
// decode its results with Decode.
type Detector struct {
	Input Input
	Head  Head
}

// Encode fills a network's row with a JPEG or PNG image, see [Input.Encode].
func (d Detector) Encode(file []byte, row []float32) error { return d.Input.Encode(file, row) }

// Decode returns the detections in an image, with boxes in its pixels. The file is what
// Encode was given, of which only the size is read; outputs are the network's, of one row.
func (d Detector) Decode(file []byte, outputs ...[]float32) ([]Detection, error) {
	width, height, err := d.Input.Decoder.Size(file)
	if err != nil {
		return nil, err
	}
	return d.In(width, height, outputs...)
}

func errNoHead() error {
	return fmt.Errorf("%w: the Detector has no Head, such as vision.YOLOv8", ErrOutput)
}

// In is Decode for an image of a known size.
func (d Detector) In(width, height int, outputs ...[]float32) ([]Detection, error) {
	p, err := d.Input.Place(width, height)
	if err != nil {
		return nil, err
	}
	if d.Head == nil {
		return nil, errNoHead()
	}
	found, err := d.Head.Detections(d.Input.Width, d.Input.Height, outputs...)
	if err != nil {
		return nil, err
	}
	kept := found[:0]
	for _, f := range found {
		if f.Box = p.Back(f.Box); f.Box.Area() > 0 { // else it lies in the padding
			kept = append(kept, f)
		}
	}
	return kept, nil
}
