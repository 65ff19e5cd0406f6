package vision

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// maxPixels is what an image has at most by default: as many as 8K video.
const maxPixels = 1 << 25

// maxScans bounds how often a progressive JPEG may go over its pixels, which costs time
// but hardly a byte; encoders write about ten scans.
const maxScans = 200

// Decoder reads images. The zero value has the defaults.
type Decoder struct {
	// MaxPixels is the largest image that is read; 0 stands for 33,554,432 pixels. An
	// image takes up to 30 bytes a pixel while it is decoded.
	MaxPixels int
	// AsStored leaves an image as it lies in the file, though its EXIF orientation says
	// that it is to be turned.
	AsStored bool
}

// Decode reads a JPEG or PNG image with the defaults of [Decoder].
func Decode(file []byte) (*Image, error) { return Decoder{}.Decode(file) }

// Decode reads a JPEG or PNG image and turns it as its EXIF orientation says. The pixels
// are those that OpenCV's imdecode and Pillow's convert("RGB") make, within a few levels
// where a JPEG rounds: chroma is interpolated as libjpeg does, grey becomes three equal
// channels, transparency is left out and of 16 bits the upper 8 are taken. Of a file
// that is cut short nothing is returned.
func (d Decoder) Decode(file []byte) (*Image, error) {
	h, err := d.header(file)
	if err != nil {
		return nil, err
	}
	if h.format.scans(file) > maxScans {
		return nil, fmt.Errorf("%w: a JPEG of more than %d scans", ErrTooLarge, maxScans)
	}
	decoded, err := h.format.decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %dx%d pixels: %w", ErrImage, h.format.name, h.width, h.height, err)
	}
	return toRGB(decoded).turned(h.orientation), nil
}

// Size returns the size of the image that Decode makes, with little work: of the pixels
// nothing is read, so it says nothing of whether they are there.
func (d Decoder) Size(file []byte) (width, height int, err error) {
	h, err := d.header(file)
	if h.orientation >= 5 {
		h.width, h.height = h.height, h.width
	}
	return h.width, h.height, err
}

// format is a kind of image files.
type format struct {
	name, magic  string
	decodeConfig func(io.Reader) (image.Config, error)
	decode       func(io.Reader) (image.Image, error)
	orientation  func(file []byte) int
	scans        func(file []byte) int
}

// formatOf returns a file's format by its first bytes.
func formatOf(file []byte) (format, bool) {
	for _, f := range []format{
		{"JPEG", "\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode, jpegOrientation, jpegScans},
		{"PNG", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode, pngOrientation, func([]byte) int { return 1 }},
	} {
		if bytes.HasPrefix(file, []byte(f.magic)) {
			return f, true
		}
	}
	return format{}, false
}

// header is what is known of an image before its pixels are read.
type header struct {
	format        format
	width, height int // as stored
	orientation   int
}

func (d Decoder) header(file []byte) (header, error) {
	f, ok := formatOf(file)
	if !ok {
		return header{}, fmt.Errorf("%w: %d bytes that begin with %q", ErrImage, len(file), file[:min(len(file), 8)])
	}
	config, err := f.decodeConfig(bytes.NewReader(file))
	if err != nil {
		return header{}, fmt.Errorf("%w: %s of %d bytes: %w", ErrImage, f.name, len(file), err)
	}
	most := d.MaxPixels
	if most <= 0 {
		most = maxPixels
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 {
		return header{}, fmt.Errorf("%w: %s of %dx%d pixels", ErrImage, f.name, w, h)
	}
	if w > most/h {
		return header{}, fmt.Errorf("%w: %s of %dx%d pixels, the most is %d; raise MaxPixels to read it", ErrTooLarge, f.name, w, h, most)
	}
	out := header{format: f, width: w, height: h, orientation: 1}
	if !d.AsStored {
		out.orientation = f.orientation(file)
	}
	return out, nil
}
