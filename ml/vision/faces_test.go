package vision_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/vision"
)

// The cascade's networks see the windows that the one before left, where it moved them to.
func TestFaces(t *testing.T) {
	img := vision.NewImage(24, 24)
	for i := range 24 * 24 {
		img.Pix[3*i] = byte(10 * (i % 24)) // red says how far to the right
	}
	var seen []string
	last := nan // of the points
	nets := func(network int, images []*vision.Image) (all []vision.FaceOutput, err error) {
		for _, m := range images {
			seen = append(seen, fmt.Sprintf("%d:%dx%d", network, m.Width, m.Height))
			o := vision.FaceOutput{Boxes: make([]float32, 4), Scores: []float32{0.1, 0.9}}
			switch network {
			case 0:
				n := (m.Width - 9) / 2
				o.Boxes, o.Scores = make([]float32, 4*n*n), make([]float32, 2*n*n)
				if m.Width == 24 {
					o.Scores[2*(3*n+2)+1] = 0.8 // columns first: from (6, 4) to (18, 16)
					o.Scores[2*(0*n+6)+1] = 0.7 // from (0, 12) to (12, 24)
				}
			case 1:
				if m.Pix[0] < 30 { // the window at the left
					o.Scores[1] = 0.6
				}
				o.Boxes[0], o.Boxes[2] = 0.5, 0.5
			case 2:
				if got := m.Pix[3*24]; got < 172 || got > 178 {
					t.Errorf("red in the middle of the piece from 12 to 24 is %d, want 176", got)
				}
				o.Boxes[1] = 0.25
				o.Points = []float32{0, 1, 0.5, 0, 1, 0, 0, 0.5, 1, last}
			}
			all = append(all, o)
		}
		return all, nil
	}
	faces, err := vision.Faces{Smallest: 12}.Find(img, nets)
	if want := []string{"0:24x24", "0:18x18", "0:13x13", "1:24x24", "1:24x24", "2:48x48"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("the networks saw %v, want %v; %v", seen, want, err)
	}
	if len(faces) != 0 {
		t.Errorf("%v: a point isn't a number", faces)
	}
	last = 1
	faces, err = vision.Faces{Smallest: 12}.Find(img, nets)
	want := vision.Face{Box: vision.Box{12, 7, 24, 16}, Score: 0.9, Points: [5][2]float32{{12, 4}, {24, 4}, {18, 10}, {12, 16}, {24, 16}}}
	if err != nil || len(faces) != 1 || faces[0] != want {
		t.Errorf("%v, %v; want %v", faces, err, want)
	}
	none, err := vision.Faces{Scores: [3]float32{0.85}}.Find(img, nets)
	if err != nil || len(none) != 0 {
		t.Errorf("of a first network that finds nothing: %v, %v", none, err)
	}
}

// Windows of two sizes that the first network moves onto each other are both looked at: they
// are compared before they are moved.
func TestFacesOfTwoSizes(t *testing.T) {
	for _, by := range []float32{0, -0.278} { // the latter makes the large window as large as the small one
		var refined int
		nets := func(network int, images []*vision.Image) (all []vision.FaceOutput, err error) {
			if network == 1 {
				refined += len(images)
			}
			for _, m := range images {
				n := 1
				if network == 0 {
					n = (m.Width - 9) / 2 * ((m.Height - 9) / 2)
				}
				o := vision.FaceOutput{Boxes: make([]float32, 4*n), Scores: make([]float32, 2*n), Points: make([]float32, 10)}
				switch m.Width {
				case 18: // from (0, 0) to (16, 16)
					o.Scores[1] = 0.9
				case 13: // from (0, 0) to (22, 22)
					o.Scores[1], o.Boxes[2], o.Boxes[3] = 0.8, by, by
				}
				all = append(all, o)
			}
			return all, nil
		}
		if _, err := (vision.Faces{Smallest: 12}).Find(vision.NewImage(24, 24), nets); err != nil || refined != 2 {
			t.Errorf("moved by %v: the second network saw %d windows, want 2; %v", by, refined, err)
		}
	}
}

// What isn't a network of the cascade is refused, with which it is.
func TestFacesRefuse(t *testing.T) {
	img := vision.NewImage(40, 30)
	whole := func(network int, images []*vision.Image) ([]vision.FaceOutput, error) {
		if network > 0 {
			return make([]vision.FaceOutput, len(images)), nil
		}
		n := (images[0].Width - 9) / 2 * ((images[0].Height - 9) / 2)
		return []vision.FaceOutput{{Boxes: make([]float32, 4*n), Scores: slices.Repeat([]float32{0, 1}, n)}}, nil
	}
	broken := errors.New("broken")
	for says, run := range map[string]func(int, []*vision.Image) ([]vision.FaceOutput, error){
		"no function":                      nil,
		"network 0 of the cascade: broken": func(int, []*vision.Image) ([]vision.FaceOutput, error) { return nil, broken },
		"0 results for 1 images":           func(int, []*vision.Image) ([]vision.FaceOutput, error) { return nil, nil },
		"network 0 of the cascade: output doesn't fit the head: for an image of 24x18 pixels 0 numbers of boxes, 0 of scores and 0 of points, want 112, 56 and 0": func(int, []*vision.Image) ([]vision.FaceOutput, error) {
			return make([]vision.FaceOutput, 1), nil
		},
		"network 1 of the cascade: output doesn't fit the head: for an image of 24x24 pixels 0 numbers of boxes, 0 of scores and 0 of points, want 4, 2 and 0": whole,
	} {
		if faces, err := (vision.Faces{}).Find(img, run); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, %v; want %q", faces, err, says)
		}
	}
	if _, err := (vision.Faces{}).Find(nil, whole); !errors.Is(err, vision.ErrSize) {
		t.Errorf("no image: %v", err)
	}
}
