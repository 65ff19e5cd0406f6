package vision

import (
	"fmt"
	"slices"
)

// ShapeChecker is a [Head] that tells by their shapes whether it can read a network's
// outputs. All heads of this package are.
type ShapeChecker interface {
	// Check returns an error if outputs of these shapes, without the batch's axis and in
	// the order in which Detections is given them, aren't the head's.
	Check(outputs ...[]int) error
}

// Check returns an error if a network whose row has a shape, and whose outputs have
// others, isn't one for the detector: another size of images, another layout, another
// number of classes. It is what a model is given, so that the program is refused before
// its first batch, and a version when it is published:
//
//	model := ml.ONNX(ssc, "yolo", file).Expect(detector.Check)
func (d Detector) Check(row []int, outputs ...[]int) error {
	if err := d.Input.Check(row); err != nil {
		return err
	}
	if d.Head == nil {
		return errNoHead()
	}
	if c, ok := d.Head.(ShapeChecker); ok {
		return c.Check(outputs...)
	}
	return nil
}

// Check returns an error if the rows of a network, of the given shape, don't hold such an
// image. What the network gives may be anything. Of a row that is a list of numbers, as
// where several inputs are parts of it, the image is the first part.
func (in Input) Check(row []int, _ ...[]int) error {
	if err := in.check(); err != nil {
		return err
	}
	want := []int{in.Channels(), in.Height, in.Width}
	switch in.Layout {
	case NHWC:
		want = []int{in.Height, in.Width, in.Channels()}
	case NWHC:
		want = []int{in.Width, in.Height, in.Channels()}
	}
	if len(row) == 1 && row[0] >= in.Len() || slices.Equal(long(row), long(want)) {
		return nil
	}
	return fmt.Errorf("%w: the network's row is an array %v, an input of %d channels and %dx%d pixels one of %v; give the Input the network's Width, Height and Layout", ErrSize, row, in.Channels(), in.Width, in.Height, want)
}

// long returns the axes of a shape that are longer than 1: a batch that is fixed, or the
// channel of a grey image, may be there or not.
func long(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}
