package vision

import (
	"fmt"
	"math"
)

// Fit says how an image becomes one of another shape.
type Fit int

const (
	// Stretch scales each axis by itself.
	Stretch Fit = iota
	// Letterbox keeps the proportions, with the same padding on both sides.
	Letterbox
	// Corner keeps the proportions, with the image at the top left and padding behind it.
	Corner
	// CenterCrop keeps the proportions and leaves out what is beside the middle.
	CenterCrop
)

// Order says which channels a network reads.
type Order int

const (
	RGB  Order = iota // as Pillow and torchvision
	BGR               // as OpenCV and Caffe
	Grey              // one channel of luma, as Pillow's convert("L")
)

// Layout says where a row has its channels.
type Layout int

const (
	NCHW Layout = iota // a plane for each, as PyTorch and most ONNX files
	NHWC               // together for each pixel, as TensorFlow and Keras
	NWHC               // so, but column by column, as facenet's MTCNN
)

// Input says how a network reads images. A channel's value of 0 to 255 becomes
// (value * Scale - Mean) / Std.
type Input struct {
	Width, Height int
	Fit           Fit
	// Shorter is for CenterCrop: the length that an image's shorter side is scaled to
	// before the middle is cut out, such as 256 for an input of 224. With 0 the image
	// is scaled as far as it covers the input.
	Shorter int
	Filter  Filter
	Pad     byte // level of padding; 114 for YOLO
	Order   Order
	Layout  Layout
	Scale   float32    // 0 stands for 1/255
	Mean    [3]float32 // in the order of the channels
	Std     [3]float32 // 0 stands for 1

	// Decoder reads the frames that Encode is given.
	Decoder Decoder
}

// YOLOInput is what Ultralytics' networks read: a letterbox with grey padding, RGB from
// 0 to 1.
func YOLOInput(width, height int) Input {
	return Input{Width: width, Height: height, Fit: Letterbox, Pad: 114}
}

// ImageNetInput is what torchvision's classifiers read, and most that were trained on
// ImageNet: the middle of an image whose shorter side has 256 pixels for a size of 224.
func ImageNetInput(size int) Input {
	return Input{
		Width: size, Height: size, Fit: CenterCrop, Shorter: size * 256 / 224, Filter: Antialias,
		Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225},
	}
}

// Channels returns the number of channels.
func (in Input) Channels() int {
	if in.Order == Grey {
		return 1
	}
	return 3
}

// Len returns the number of floats of a row.
func (in Input) Len() int { return in.Channels() * in.Width * in.Height }

// check refuses what can't be an input.
func (in Input) check() error {
	switch {
	case in.Width < 1 || in.Height < 1 || in.Width > maxPixels/in.Height:
		return fmt.Errorf("%w: an input of %dx%d pixels; it has at least 1 and at most %d", ErrSize, in.Width, in.Height, maxPixels)
	case in.Fit < Stretch || in.Fit > CenterCrop:
		return fmt.Errorf("vision: fit %d is none; there are Stretch, Letterbox, Corner and CenterCrop", in.Fit)
	case in.Fit == CenterCrop && in.Shorter != 0 && in.Shorter < max(in.Width, in.Height):
		return fmt.Errorf("%w: Shorter is %d, less than the %dx%d pixels that are cut out", ErrSize, in.Shorter, in.Width, in.Height)
	case in.Order < RGB || in.Order > Grey:
		return fmt.Errorf("vision: order %d is none; there are RGB, BGR and Grey", in.Order)
	case in.Layout < NCHW || in.Layout > NWHC:
		return fmt.Errorf("vision: layout %d is none; there are NCHW, NHWC and NWHC", in.Layout)
	}
	return nil
}

// Encode fills a network's row, such as the function encode of ml.Predict is given, with
// a JPEG or PNG image.
func (in Input) Encode(file []byte, row []float32) error {
	img, err := in.Decoder.Decode(file)
	if err != nil {
		return err
	}
	if img, err = in.Fitted(img); err != nil {
		return err
	}
	return in.Fill(img, row)
}

// Fitted scales, pads and crops an image to the input's size.
func (in Input) Fitted(img *Image) (*Image, error) {
	if err := img.check(); err != nil {
		return nil, err
	}
	p, err := in.Place(img.Width, img.Height)
	if err != nil {
		return nil, err
	}
	scaled, err := img.Resize(p.width, p.height, in.Filter)
	if err != nil || p.width == in.Width && p.height == in.Height {
		return scaled, err
	}
	out := NewImage(in.Width, in.Height)
	for i := range out.Pix {
		out.Pix[i] = in.Pad
	}
	width := min(in.Width, p.width)
	toX, fromX := max(p.left, 0), max(-p.left, 0)
	toY, fromY := max(p.top, 0), max(-p.top, 0)
	for y := range min(in.Height, p.height) {
		from := scaled.Pix[3*((fromY+y)*p.width+fromX):]
		copy(out.Pix[3*((toY+y)*in.Width+toX):], from[:3*width])
	}
	return out, nil
}

// Fill fills a row with an image of the input's size.
func (in Input) Fill(img *Image, row []float32) error {
	if err := in.check(); err != nil {
		return err
	}
	if err := img.check(); err != nil {
		return err
	}
	if img.Width != in.Width || img.Height != in.Height {
		return fmt.Errorf("%w: an image of %dx%d pixels, the input has %dx%d; let Fitted make it one", ErrSize, img.Width, img.Height, in.Width, in.Height)
	}
	if len(row) != in.Len() {
		return fmt.Errorf("%w: the network's row has %d floats, an input of %d channels and %dx%d pixels %d; give the Input the network's size", ErrSize, len(row), in.Channels(), in.Width, in.Height, in.Len())
	}
	levels := in.levels()
	pixels, channels := in.Width*in.Height, in.Channels()
	for c := range channels {
		from, level := c, &levels[c]
		if in.Order == BGR {
			from = 2 - c
		}
		first, right, down := c*pixels, 1, in.Width
		switch in.Layout {
		case NHWC:
			first, right, down = c, channels, channels*in.Width
		case NWHC:
			first, right, down = c, channels*in.Height, channels
		}
		p := img.Pix
		for y := range in.Height {
			at := first + y*down
			for range in.Width {
				v := p[from]
				if in.Order == Grey {
					v = luma(p[0], p[1], p[2])
				}
				row[at] = level[v]
				at, p = at+right, p[3:]
			}
		}
	}
	return nil
}

// levels are the values of the 256 levels of each channel.
func (in Input) levels() (levels [3][256]float32) {
	scale := in.Scale
	if scale == 0 {
		scale = 1.0 / 255
	}
	for c := range levels {
		std := in.Std[c]
		if std == 0 {
			std = 1
		}
		for v := range levels[c] {
			levels[c][v] = (float32(v)*scale - in.Mean[c]) / std
		}
	}
	return levels
}

// luma is that of ITU-R BT.601, as Pillow rounds it (Convert.c).
func luma(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// Placement says where an image lies in a network's input.
type Placement struct {
	width, height int // of the whole image when it is scaled
	left, top     int // of it in the input; below 0 if it is cropped
	frame         Box // the image before it is scaled
}

// Place says where an image of a size comes to lie.
func (in Input) Place(width, height int) (Placement, error) {
	if err := in.check(); err != nil {
		return Placement{}, err
	}
	if width < 1 || height < 1 {
		return Placement{}, fmt.Errorf("%w: an image of %dx%d pixels", ErrSize, width, height)
	}
	p := Placement{width: in.Width, height: in.Height, frame: Box{0, 0, float32(width), float32(height)}}
	w, h := float64(width), float64(height)
	switch in.Fit {
	case Letterbox, Corner: // LetterBox of Ultralytics; Python rounds halves to even
		scale := min(float64(in.Width)/w, float64(in.Height)/h)
		p.width = min(max(int(math.RoundToEven(w*scale)), 1), in.Width)
		p.height = min(max(int(math.RoundToEven(h*scale)), 1), in.Height)
		if in.Fit == Letterbox {
			p.left, p.top = (in.Width-p.width)/2, (in.Height-p.height)/2
		}
	case CenterCrop: // Resize and CenterCrop of torchvision
		scale := max(float64(in.Width)/w, float64(in.Height)/h)
		if in.Shorter > 0 {
			scale = float64(in.Shorter) / min(w, h)
		}
		if w*scale*h*scale > maxPixels {
			return Placement{}, fmt.Errorf("%w: an image of %dx%d pixels is too narrow to be cropped to %dx%d", ErrSize, width, height, in.Width, in.Height)
		}
		p.width, p.height = max(int(w*scale), in.Width), max(int(h*scale), in.Height)
		if in.Shorter > 0 { // in integers: 98 * (256.0 / 98) is less than 256
			p.width, p.height = in.Shorter*width/min(width, height), in.Shorter*height/min(width, height)
		}
		p.left = -int(math.RoundToEven(float64(p.width-in.Width) / 2))
		p.top = -int(math.RoundToEven(float64(p.height-in.Height) / 2))
	}
	return p, nil
}

// Back maps a box in the input to the image, and cuts off what is beside it.
func (p Placement) Back(b Box) Box {
	x, y := p.frame.X2/float32(p.width), p.frame.Y2/float32(p.height)
	left, top := float32(p.left), float32(p.top)
	return Box{(b.X1 - left) * x, (b.Y1 - top) * y, (b.X2 - left) * x, (b.Y2 - top) * y}.Intersect(p.frame)
}
