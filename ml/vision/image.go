package vision

import (
	"fmt"
	"image"
	"image/color"
)

// Image is a picture: three bytes a pixel, red, green and blue, row by row from the
// top. It is an image.Image, so that package image/png writes it.
type Image struct {
	Width, Height int
	Pix           []byte
}

// NewImage makes a black image.
func NewImage(width, height int) *Image {
	return &Image{width, height, make([]byte, 3*width*height)}
}

// ColorModel is part of image.Image.
func (m *Image) ColorModel() color.Model { return color.RGBAModel }

// Bounds is part of image.Image.
func (m *Image) Bounds() image.Rectangle { return image.Rect(0, 0, m.Width, m.Height) }

// At is part of image.Image.
func (m *Image) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(m.Bounds()) {
		return color.RGBA{}
	}
	p := m.Pix[3*(y*m.Width+x):]
	return color.RGBA{p[0], p[1], p[2], 255}
}

// check refuses an image whose size and pixels don't fit together.
func (m *Image) check() error {
	if m == nil {
		return fmt.Errorf("%w: there is no image; make one with vision.Decode", ErrSize)
	}
	if m.Width < 1 || m.Height < 1 || len(m.Pix)%3 != 0 || m.Width > len(m.Pix)/3 || len(m.Pix)/3/m.Width != m.Height || len(m.Pix)/3%m.Width != 0 {
		return fmt.Errorf("%w: an image of %dx%d pixels has %d bytes, 3 a pixel are wanted", ErrSize, m.Width, m.Height, len(m.Pix))
	}
	return nil
}

// turned is the image as its EXIF orientation, 1 to 8, says that it is to be looked at.
func (m *Image) turned(orientation int) *Image {
	w, h := m.Width, m.Height
	// The first pixel of the result, and where the next one to the right of a pixel and
	// the one below it are, in pixels of m.
	first, right, down := 0, 1, w
	switch orientation {
	case 2:
		first, right = w-1, -1
	case 3:
		first, right, down = w*h-1, -1, -w
	case 4:
		first, down = (h-1)*w, -w
	case 5:
		right, down = w, 1
	case 6:
		first, right, down = (h-1)*w, -w, 1
	case 7:
		first, right, down = w*h-1, -w, -1
	case 8:
		first, right, down = w-1, w, -1
	default:
		return m
	}
	if orientation >= 5 {
		w, h = h, w
	}
	out := NewImage(w, h)
	to := 0
	for y := range h {
		from := first + y*down
		for range w {
			copy(out.Pix[to:to+3], m.Pix[3*from:3*from+3])
			to, from = to+3, from+right
		}
	}
	return out
}
