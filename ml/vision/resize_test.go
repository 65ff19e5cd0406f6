package vision_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/vision"
)

// Images are scaled to the pixels of OpenCV and Pillow.
func TestResize(t *testing.T) {
	want, img := expected(t), picture(t)
	for name, c := range map[string]struct {
		filter vision.Filter
		levels int
	}{"linear": {vision.Linear, 1}, "antialias": {vision.Antialias, 0}, "nearest": {vision.Nearest, 0}, "nearestexact": {vision.NearestExact, 0}} {
		for _, size := range [][2]int{{20, 13}, {33, 9}, {5, 40}} {
			got, err := img.Resize(size[0], size[1], c.filter)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s_%dx%d", name, size[0], size[1])
			alike(t, name, got, want[name], c.levels)
		}
	}
}

// The order of the axes, which depends on the shape, changes no more than rounding; no
// shape of either image makes something large in between.
func TestResizeOfExtremes(t *testing.T) {
	for _, filter := range []vision.Filter{vision.Linear, vision.Antialias, vision.Nearest, vision.NearestExact} {
		for _, from := range [][2]int{{1, 1}, {1, 1 << 16}, {1 << 16, 1}, {2, 3000}, {3000, 2}} {
			img := vision.NewImage(from[0], from[1])
			for i := range img.Pix {
				img.Pix[i] = byte(200 + i%3)
			}
			for _, to := range [][2]int{{1, 1}, {3, 40}, {40, 3}, {640, 1}, {1, 640}} {
				got, err := img.Resize(to[0], to[1], filter)
				if err != nil || got.Width != to[0] || got.Height != to[1] {
					t.Fatalf("%v to %v: %v", from, to, err)
				}
				for i, p := range got.Pix {
					if p != byte(200+i%3) {
						t.Fatalf("filter %d, %v to %v: one colour has become another: byte %d is %d", filter, from, to, i, p)
					}
				}
			}
		}
	}
	img := picture(t)
	for _, to := range [][2]int{{0, 5}, {5, -1}, {math.MaxInt, 2}, {1 << 13, 1 << 13}} {
		if _, err := img.Resize(to[0], to[1], vision.Linear); !errors.Is(err, vision.ErrSize) {
			t.Errorf("to %v: %v", to, err)
		}
	}
	if _, err := (&vision.Image{Width: 3, Height: 2, Pix: make([]byte, 17)}).Resize(1, 1, vision.Linear); !errors.Is(err, vision.ErrSize) {
		t.Errorf("an image without its last byte: %v", err)
	}
	if _, err := img.Resize(5, 5, 17); err == nil {
		t.Error("a filter that there isn't")
	}
}

// Letterboxes are those of Ultralytics, crops those of torchvision.
func TestFitted(t *testing.T) {
	want, img := expected(t), picture(t)
	for name, c := range map[string]struct {
		in     vision.Input
		levels int
	}{
		"letterbox_32x32": {vision.YOLOInput(32, 32), 1},
		"letterbox_48x25": {vision.YOLOInput(48, 25), 1},
		"crop_24_21":      {vision.Input{Width: 21, Height: 21, Fit: vision.CenterCrop, Shorter: 24, Filter: vision.Antialias}, 0},
		"linear_20x13":    {vision.Input{Width: 20, Height: 13}, 1},
	} {
		got, err := c.in.Fitted(img)
		if err != nil {
			t.Fatal(err)
		}
		alike(t, name, got, want[name], c.levels)
	}
	corner, err := vision.Input{Width: 40, Height: 40, Fit: vision.Corner, Pad: 7}.Fitted(vision.NewImage(10, 5))
	if err != nil || corner.Pix[3*(19*40+39)] != 0 || corner.Pix[3*20*40] != 7 {
		t.Errorf("in the corner there are not 20 rows of the image and then the padding: %v", err)
	}
}

// A row has the channels in the network's order and layout, normalised.
func TestFill(t *testing.T) {
	img := &vision.Image{Width: 2, Height: 1, Pix: []byte{255, 0, 51, 0, 102, 204}}
	for name, c := range map[string]struct {
		in   vision.Input
		want []float32
	}{
		"RGB planes": {vision.Input{}, []float32{1, 0, 0, 0.4, 0.2, 0.8}},
		"BGR planes": {vision.Input{Order: vision.BGR, Scale: 1}, []float32{51, 204, 0, 102, 255, 0}},
		"RGB pixels": {vision.Input{Layout: vision.NHWC, Scale: 1}, []float32{255, 0, 51, 0, 102, 204}},
		"BGR pixels": {vision.Input{Order: vision.BGR, Layout: vision.NHWC, Scale: 1, Mean: [3]float32{1, 2, 3}, Std: [3]float32{2, 0, 4}},
			[]float32{25, -2, 63, 101.5, 100, -0.75}},
		"grey": {vision.Input{Order: vision.Grey, Scale: 1}, []float32{82, 83}},
	} {
		c.in.Width, c.in.Height = 2, 1
		row := make([]float32, c.in.Len())
		if err := c.in.Fill(img, row); err != nil {
			t.Fatal(err)
		}
		near(t, name, row, c.want)
	}
	want := expected(t)
	in := vision.ImageNetInput(21)
	if in.Shorter != 24 {
		t.Errorf("the shorter side has %d pixels, want 24", in.Shorter)
	}
	row := make([]float32, in.Len())
	if err := in.Encode(file(t, "picture.png"), row); err != nil {
		t.Fatal(err)
	}
	near(t, "ImageNet", row, want["imagenet"].Data.([]float32))

	grey := vision.Input{Width: 33, Height: 23, Order: vision.Grey, Scale: 1}
	row = make([]float32, grey.Len())
	if err := grey.Fill(picture(t), row); err != nil {
		t.Fatal(err)
	}
	for i, v := range want["luma"].Data.([]uint8) {
		if row[i] != float32(v) {
			t.Fatalf("luma of pixel %d is %v, Pillow's %d", i, row[i], v)
		}
	}
}

// Columns may come before rows.
func TestFillColumns(t *testing.T) {
	img := &vision.Image{Width: 2, Height: 2, Pix: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}
	for layout, want := range map[vision.Layout][]float32{
		vision.NCHW: {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12},
		vision.NHWC: {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		vision.NWHC: {1, 2, 3, 7, 8, 9, 4, 5, 6, 10, 11, 12},
	} {
		row := make([]float32, 12)
		if err := (vision.Input{Width: 2, Height: 2, Layout: layout, Scale: 1}).Fill(img, row); err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprint("layout ", layout), row, want)
	}
}

// near fails unless floats are the expected ones but for rounding.
func near(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	for i, v := range want {
		if !(math.Abs(float64(got[i]-v)) <= 1e-4*max(1, math.Abs(float64(v)))) {
			t.Errorf("%s: value %d is %v, want %v", name, i, got[i], v)
			return
		}
	}
}

// Frames, rows and inputs of the wrong size are told with what to do.
func TestWrongSizes(t *testing.T) {
	img := vision.NewImage(4, 3)
	in := vision.Input{Width: 4, Height: 3}
	for _, c := range []struct {
		err  error
		says string
	}{
		{in.Fill(img, make([]float32, 35)), "the network's row has 35 floats, an input of 3 channels and 4x3 pixels 36"},
		{vision.Input{Width: 3, Height: 4}.Fill(img, make([]float32, 36)), "an image of 4x3 pixels, the input has 3x4"},
		{in.Fill(nil, make([]float32, 36)), "there is no image"},
		{vision.Input{Width: -1, Height: 4}.Fill(img, nil), "an input of -1x4 pixels"},
		{fit(vision.Input{Width: 4, Height: 4, Fit: vision.CenterCrop, Shorter: 3}, img), "Shorter is 3, less than the 4x4 pixels"},
		{fit(vision.Input{Width: 640, Height: 640, Fit: vision.CenterCrop}, vision.NewImage(1, 1000)), "too narrow to be cropped"},
	} {
		if !errors.Is(c.err, vision.ErrSize) || !strings.Contains(fmt.Sprint(c.err), c.says) {
			t.Errorf("%v; want %q", c.err, c.says)
		}
	}
	for _, bad := range []vision.Input{{Fit: 9}, {Order: -1}, {Layout: 3}} {
		bad.Width, bad.Height = 4, 3
		if err := fit(bad, img); err == nil {
			t.Errorf("%+v is taken for an input", bad)
		}
	}
}

func fit(in vision.Input, img *vision.Image) error {
	_, err := in.Fitted(img)
	return err
}
