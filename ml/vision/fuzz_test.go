package vision_test

import (
	"bytes"
	"testing"

	"github.com/hibana-engine/hibana/ml/vision"
)

// FuzzDecode reads arbitrary bytes: an error or an image of the size that was said before,
// which fits every input.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"420.jpg", "440.jpg", "grey.jpg", "cmyk.jpg", "progressive.jpg", "turned.jpg", "alpha.png", "palette.png", "deep.png", "turned.png"} {
		data := file(f, name)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := vision.Decoder{MaxPixels: 1 << 14}
		img, err := d.Decode(data)
		if err != nil {
			return
		}
		if w, h, err := d.Size(data); err != nil || w != img.Width || h != img.Height || len(img.Pix) != 3*w*h || w*h > d.MaxPixels {
			t.Fatalf("%dx%d pixels, %d bytes; the size is %dx%d, %v", img.Width, img.Height, len(img.Pix), w, h, err)
		}
		for _, fit := range []vision.Fit{vision.Stretch, vision.Letterbox, vision.Corner, vision.CenterCrop} {
			in := vision.Input{Width: 12, Height: 7, Fit: fit, Filter: vision.Antialias}
			if err := in.Encode(data, make([]float32, in.Len())); err != nil {
				t.Fatalf("fit %d: %v", fit, err)
			}
		}
	})
}

// FuzzDetections reads arbitrary floats: an error, or detections within the frame.
func FuzzDetections(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1, 200, 3, 4, 255, 0}, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		special := []float32{nan, 1 / zero, -1 / zero, 3e38, -3e38}
		out := make([]float32, len(data))
		for i, b := range data {
			if out[i] = float32(b) / 100; int(b) < len(special) {
				out[i] = special[b]
			}
		}
		names := []string{"a", "b"}
		in := vision.YOLOInput(64, 64)
		for _, head := range []vision.Head{vision.YOLOv8{Classes: names}, vision.YOLOv5{Classes: names}, vision.YOLOv7{Classes: names[:1]}, vision.YOLOv10{Classes: names, NMS: vision.NMS{Sigma: 0.5}}} {
			inFrame(t, vision.Detector{Input: in, Head: head}, out)
		}
		n := len(out) / 8
		priors := vision.Priors(vision.PriorLayer{Rows: 1, Cols: n, Sizes: [][2]float32{{0.5, 0.5}}})
		inFrame(t, vision.Detector{Input: in, Head: vision.SSD{Priors: priors, Classes: []string{"a", "b", "c"}, Softmax: true}}, out[:4*n], out[4*n:8*n])
		inFrame(t, vision.Detector{Input: in, Head: vision.Boxes{Classes: names[:1]}}, out[:4*n], out[4*n:5*n])
		n = len(out) / 6
		inFrame(t, vision.Detector{Input: in, Head: vision.MTCNN{Cols: 1}}, out[:4*n], out[4*n:6*n])
	})
}

var zero float32

func inFrame(t *testing.T, d vision.Detector, outputs ...[]float32) {
	found, err := d.In(100, 50, outputs...)
	for _, f := range found {
		if err != nil || !(f.Box.X1 >= 0 && f.Box.Y1 >= 0 && f.Box.X2 <= 100 && f.Box.Y2 <= 50 && f.Box.Area() > 0) {
			t.Fatalf("%T: %v, %v", d.Head, f, err)
		}
	}
}
