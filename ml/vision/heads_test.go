package vision_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/vision"
)

var nan = float32(math.NaN())

// heads are read from outputs that are written down by hand.
func TestHeads(t *testing.T) {
	names := []string{"cat", "dog"}
	priors := vision.Priors(vision.PriorLayer{Rows: 1, Cols: 2, Sizes: [][2]float32{{0.5, 0.5}, {0.2, 0.4}}})
	if want := []vision.Prior{{0.25, 0.5, 0.5, 0.5}, {0.25, 0.5, 0.2, 0.4}, {0.75, 0.5, 0.5, 0.5}, {0.75, 0.5, 0.2, 0.4}}; !slices.Equal(priors, want) {
		t.Fatalf("priors %v, want %v", priors, want)
	}
	for name, c := range map[string]struct {
		head    vision.Head
		outputs [][]float32
		want    string
	}{
		"YOLOv8": {vision.YOLOv8{Classes: names}, [][]float32{{
			50, 51, 20, 50, 9, // centres, across
			40, 40, 30, 40, 9,
			20, 20, 10, 20, 9, // widths
			10, 10, 10, 10, 9,
			0.6, 0.9, 0.1, 0.2, nan, // cat
			0.1, 0.0, 0.2, 0.5, 0.1, // dog
		}}, "cat 0.90 (41, 35)-(61, 45); dog 0.50 (40, 35)-(60, 45)"},
		"YOLOv5": {vision.YOLOv5{Classes: names}, [][]float32{{
			50, 40, 20, 10, 0.9, 0.1, 0.8,
			52, 40, 20, 10, 0.5, 0.1, 0.8, // on the first
			90, 40, 20, 10, 0.4, 0.6, 0.5, // 0.24 is too little
			10, 40, 20, 10, 0.5, 0.6, 0.5,
			nan, 40, 20, 10, 1, 1, 0,
		}}, "dog 0.72 (40, 35)-(60, 45); cat 0.30 (0, 35)-(20, 45)"},
		// of one class: its own probability isn't trained
		"YOLOv7": {vision.YOLOv7{Classes: names[:1]}, [][]float32{{
			50, 40, 20, 10, 0.9, 0.5,
			90, 40, 20, 10, 0.2, 1,
		}}, "cat 0.90 (40, 35)-(60, 45)"},
		"YOLOv7 of two": {vision.YOLOv7{Classes: names}, [][]float32{{
			50, 40, 20, 10, 0.9, 0.1, 0.8,
		}}, "dog 0.72 (40, 35)-(60, 45)"},
		"Boxes": {vision.Boxes{Classes: names}, [][]float32{{
			10, 20, 30, 60, // y, x
			32, 62, 10, 20, // the corners the other way around, on the first
			50, 0, 60, 10,
		}, {
			0.9, 0.8, 0.1, // cats
			0.1, 0.1, 0.7, // dogs
		}}, "cat 0.90 (20, 10)-(60, 30); dog 0.70 (0, 50)-(10, 60)"},
		"Boxes, x first": {vision.Boxes{Classes: names[:1], Order: vision.CornersXY, Parts: true}, [][]float32{
			{0.1, 0.2, 0.5, 0.6}, {0.5},
		}, "cat 0.50 (20, 20)-(100, 60)"},
		"Boxes, centred": {vision.Boxes{Classes: names[:1], Order: vision.Centred}, [][]float32{
			{50, 40, 20, 10}, {0.5},
		}, "cat 0.50 (40, 35)-(60, 45)"},
		"YOLOv10": {vision.YOLOv10{Classes: names}, [][]float32{{
			1, 2, 30, 40, 0.5, 1,
			2, 2, 30, 40, 0.9, 1, // stays, though it lies on the first
			0, 0, 0, 0, 0, 0,
		}}, "dog 0.90 (2, 2)-(30, 40); dog 0.50 (1, 2)-(30, 40)"},
		// x = (0.25 + 1*0.1*0.5) * 200, width = 0.5 * exp(5*ln(2)*0.2) * 200
		"SSD": {vision.SSD{Priors: priors, Classes: names}, [][]float32{{
			1, -1, 5 * float32(math.Ln2), 0, // centre (60, 45), size 200x50
			0, 0, 0, 0,
			0, 0, 0, 0, // centre (150, 50), size 100x50
			0, 0, 1e9, -1e9,
		}, {
			0.1, 0.9, 0,
			0.9, 0.05, 0.05,
			0.2, 0.3, 0.5,
			1, 0, 0,
		}}, "cat 0.90 (-40, 20)-(160, 70); dog 0.50 (100, 25)-(200, 75); cat 0.30 (100, 25)-(200, 75)"},
		"SSD of logits": {vision.SSD{Priors: priors[:1], Classes: names, Softmax: true, Variances: [2]float32{0.2, 0.4}}, [][]float32{
			{1, 0, 0, 0}, {0, float32(math.Log(3)), -1000},
		}, "cat 0.75 (20, 25)-(120, 75)"},
		"MTCNN": {vision.MTCNN{Cols: 3, NMS: vision.NMS{Score: 0.6, IoU: 0.5}}, [][]float32{
			{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5, -0.25, 0, 0.25},
			{1, 0, 1, 0, 1, 0, 0.3, 0.7, 1, 0, 0.1, 0.9}, // of (4, 2), corrected, and (0, 2), whose IoU is 0.5
		}, "face 0.90 (10, -1)-(16, 17); face 0.70 (0, 2)-(12, 14)"},
		"MTCNN, turned": {vision.MTCNN{Cols: 3, Turned: true, NMS: vision.NMS{IoU: 0.4}}, [][]float32{
			{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0.5, -0.25, 0, 0.25},
			{1, 0, 1, 0, 0, 0.6, 0.3, 0.7, 1, 0, 0.1, 0.9}, // of (0, 4), (2, 0) and (2, 4)
		}, "face 0.90 (8, 1)-(14, 19)"},
	} {
		found, err := c.head.Detections(200, 100, c.outputs...)
		var all []string
		for _, d := range found {
			all = append(all, d.String())
		}
		if got := strings.Join(all, "; "); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// What a network gives that isn't the head's is refused with what to do.
func TestHeadsRefuse(t *testing.T) {
	names := []string{"cat", "dog"}
	for _, c := range []struct {
		head    vision.Head
		outputs [][]float32
		says    string
	}{
		{vision.YOLOv8{Classes: names}, [][]float32{make([]float32, 13)}, "YOLOv8 with 2 classes reads 6 floats of each candidate, and the network gives 13"},
		{vision.YOLOv8{}, [][]float32{make([]float32, 8)}, "YOLOv8 has no Classes"},
		{vision.YOLOv8{Classes: names}, nil, "reads one output, there are 0"},
		{vision.YOLOv5{Classes: names}, [][]float32{{}}, "reads 7 floats"},
		{vision.YOLOv5{Classes: names}, [][]float32{{1}, {2}}, "reads one output, there are 2"},
		{vision.YOLOv10{Classes: names}, [][]float32{{1, 2, 3, 4, 1, 2}}, "detection 0 is of class 2, there are 2"},
		{vision.YOLOv10{Classes: names}, [][]float32{{1, 2, 3, 4, 1, nan}}, "of class NaN"},
		{vision.YOLOv8{Classes: names}, [][]float32{{8, 8, 4, 4, 0.1, 300}}, "candidate 0 has a score of 300, which is no probability; give as many Classes"},
		{vision.YOLOv5{Classes: names}, [][]float32{{8, 8, 4, 4, 0.1, 0.1, 9}}, "has a score of 9"},
		{vision.YOLOv7{Classes: names[:1]}, [][]float32{{8, 8, 4, 4, 2, 0.1}}, "YOLOv7: candidate 0 has a score of 2"},
		{vision.YOLOv10{Classes: names}, [][]float32{{1, 2, 3, 4, 50, 1}}, "has a score of 50"},
		{vision.Boxes{Classes: names}, [][]float32{make([]float32, 4), make([]float32, 3)}, "Boxes with 2 classes"},
		{vision.Boxes{Classes: names}, [][]float32{{}, {}}, "have 0 and 0 floats"},
		{vision.Boxes{Classes: names}, [][]float32{make([]float32, 4)}, "Boxes reads two outputs"},
		{vision.Boxes{}, [][]float32{make([]float32, 4), {}}, "Boxes has no Classes"},
		{vision.SSD{Classes: names}, [][]float32{make([]float32, 4), make([]float32, 3)}, "give the network's Priors"},
		{vision.SSD{Classes: names}, [][]float32{make([]float32, 4)}, "SSD reads two outputs"},
		{vision.MTCNN{}, [][]float32{make([]float32, 4), make([]float32, 2)}, "MTCNN with 0 columns"},
		{vision.MTCNN{Cols: 1}, [][]float32{make([]float32, 2), make([]float32, 4)}, "MTCNN with 1 columns"},
	} {
		if found, err := c.head.Detections(10, 10, c.outputs...); !errors.Is(err, vision.ErrOutput) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%T: %v, %v; want %q", c.head, found, err, c.says)
		}
	}
}

// A network that isn't the detector's is refused by its shapes, though the number of floats
// may fit: 80 classes of 8400 candidates are 117,600 candidates of 2 classes, too.
func TestCheck(t *testing.T) {
	names := []string{"cat", "dog"}
	yolo := vision.Detector{Input: vision.YOLOInput(640, 480), Head: vision.YOLOv8{Classes: names}}
	with := func(h vision.Head) vision.Detector { return vision.Detector{Input: yolo.Input, Head: h} }
	priors := vision.Priors(vision.PriorLayer{Rows: 1, Cols: 5, Sizes: [][2]float32{{1, 1}}})
	turned := yolo
	turned.Input.Layout = vision.NHWC
	columns := with(vision.MTCNN{Cols: 27})
	columns.Input = vision.Input{Width: 64, Height: 48, Layout: vision.NWHC, Order: vision.BGR}
	grey := vision.Detector{Input: vision.Input{Width: 4, Height: 3, Order: vision.Grey}, Head: vision.YOLOv10{Classes: names}}
	row := []int{3, 480, 640}
	for _, c := range []struct {
		detector vision.Detector
		row      []int
		outputs  [][]int
		says     string // "": it fits
	}{
		{yolo, row, [][]int{{6, 6300}}, ""},
		{yolo, []int{1, 3, 480, 640}, [][]int{{1, 6, 6300}}, ""},
		{yolo, []int{3*480*640 + 7}, [][]int{{6, 6300}}, ""},
		{yolo, row, [][]int{{84, 6300}}, "YOLOv8 with 2 classes reads an array [6 candidates], the network gives [84 6300]; give as many Classes"},
		{yolo, row, [][]int{{6300, 6}}, "the network gives [6300 6]"},
		{yolo, row, [][]int{{6, 1}, {6, 1}}, "YOLOv8 reads one output, there are 2"},
		{yolo, []int{3, 640, 640}, [][]int{{6, 8400}}, "the network's row is an array [3 640 640], an input of 3 channels and 640x480 pixels one of [3 480 640]; give the Input"},
		{yolo, []int{3, 640, 480}, [][]int{{6, 6300}}, "one of [3 480 640]"},
		{yolo, []int{480, 640, 3}, [][]int{{6, 6300}}, "one of [3 480 640]"},
		{yolo, []int{3 * 480 * 640 / 2}, [][]int{{6, 6300}}, "one of [3 480 640]"},
		{turned, []int{480, 640, 3}, [][]int{{6, 6300}}, ""},
		{turned, row, [][]int{{6, 6300}}, "one of [480 640 3]"},
		{with(nil), row, nil, "the Detector has no Head"},
		{with(vision.YOLOv8{}), row, [][]int{{6, 6300}}, "has no Classes"},
		{with(vision.YOLOv5{Classes: names}), row, [][]int{{18900, 7}}, ""},
		{with(vision.YOLOv5{Classes: names}), row, [][]int{{18900, 85}}, "reads an array [candidates 7], the network gives [18900 85]"},
		{with(vision.YOLOv7{Classes: names[:1]}), row, [][]int{{1, 18900, 6}}, ""},
		{with(vision.YOLOv7{Classes: names}), row, [][]int{{18900, 6}}, "YOLOv7 with 2 classes"},
		{with(vision.SSD{Priors: priors, Classes: names}), row, [][]int{{5, 4}, {5, 3}}, ""},
		{with(vision.SSD{Priors: priors, Classes: names}), row, [][]int{{5, 4}, {3, 5}}, "scores [5 3], the network gives [5 4] and [3 5]"},
		{with(vision.SSD{Priors: priors, Classes: names}), row, [][]int{{5, 4}}, "SSD reads two outputs"},
		{with(vision.Boxes{Classes: names}), row, [][]int{{5, 4}, {2, 5}}, ""},
		{with(vision.Boxes{Classes: names[:1]}), row, [][]int{{1, 5, 4}, {1, 1, 5}}, ""},
		{with(vision.Boxes{Classes: names}), row, [][]int{{5, 4}, {3, 5}}, "scores [2 boxes], the network gives [5 4] and [3 5]"},
		{with(vision.Boxes{Classes: names}), row, [][]int{{4}, {2}}, "the network gives [4] and [2]"},
		{with(vision.Boxes{Classes: names, Order: 7}), row, [][]int{{5, 4}, {2, 5}}, "order 7 of boxes is none"},
		{columns, []int{64, 48, 3}, [][]int{{19, 27, 4}, {19, 27, 2}}, ""},
		{columns, []int{64, 48, 3}, [][]int{{27, 19, 4}, {27, 19, 2}}, "MTCNN with 27 columns"},
		{columns, []int{64, 48, 3}, [][]int{{4}, {2}}, "MTCNN with 27 columns"},
		{grey, []int{1, 3, 4}, [][]int{{300, 6}}, ""},
		{grey, []int{3, 4}, [][]int{{300, 6}}, ""},
		{grey, []int{3, 4, 3}, [][]int{{300, 6}}, "an input of 1 channels"},
	} {
		err := c.detector.Check(c.row, c.outputs...)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%T, row %v, outputs %v: %v; want %q", c.detector.Head, c.row, c.outputs, err, c.says)
		}
	}
	if err := (vision.Input{}).Check(row); !errors.Is(err, vision.ErrSize) {
		t.Errorf("an input without a size: %v", err)
	}
}

// Of detections that lie on each other the best stays, in each class.
func TestNMS(t *testing.T) {
	at := func(x, score float32, class int) vision.Detection {
		return vision.Detection{Box: vision.Box{x, 0, x + 10, 10}, Class: class, Score: score}
	}
	all := []vision.Detection{
		at(0, 0.5, 0), at(3, 0.9, 0), // IoU 7/13 = 0.54
		at(3, 0.8, 1), at(30, 0.5, 1), at(50, 0.5, 1), at(70, 0.2, 1), at(90, nan, 1), at(nan, 0.9, 1),
		{Box: vision.Box{3, 0, float32(math.Inf(1)), 10}, Score: 1},
	}
	for name, c := range map[string]struct {
		nms  vision.NMS
		want string
	}{
		"defaults":       {vision.NMS{}, "3/0:0.90 3/1:0.80 30/1:0.50 50/1:0.50"},
		"higher IoU":     {vision.NMS{IoU: 0.55}, "3/0:0.90 3/1:0.80 0/0:0.50 30/1:0.50 50/1:0.50"},
		"lower score":    {vision.NMS{Score: 0.1, Max: 5}, "3/0:0.90 3/1:0.80 30/1:0.50 50/1:0.50 70/1:0.20"},
		"at most":        {vision.NMS{Max: 2}, "3/0:0.90 3/1:0.80"},
		"across classes": {vision.NMS{AcrossClasses: true}, "3/0:0.90 30/1:0.50 50/1:0.50"},
		"of the smaller": {vision.NMS{OfSmaller: true, IoU: 0.6}, "3/0:0.90 3/1:0.80 30/1:0.50 50/1:0.50"}, // 7/10
		// 0.5 * exp(-(7/13)²/0.5) = 0.28
		"soft": {vision.NMS{Sigma: 0.5}, "3/0:0.90 3/1:0.80 30/1:0.50 50/1:0.50 0/0:0.28"},
		// and across classes 0.8 * exp(-1/0.5) = 0.11
		"soft, across": {vision.NMS{Sigma: 0.5, AcrossClasses: true, Score: 0.1, Max: 4}, "3/0:0.90 30/1:0.50 50/1:0.50 0/0:0.28"},
	} {
		var got []string
		for _, d := range c.nms.Keep(slices.Clone(all)) {
			got = append(got, fmt.Sprintf("%.0f/%d:%.2f", d.Box.X1, d.Class, d.Score))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestIoU(t *testing.T) {
	for _, c := range []struct {
		a, b vision.Box
		want float32
	}{
		{vision.Box{0, 0, 10, 10}, vision.Box{0, 0, 10, 10}, 1},
		{vision.Box{0, 0, 10, 10}, vision.Box{5, 0, 15, 10}, 1.0 / 3},
		{vision.Box{0, 0, 10, 10}, vision.Box{10, 0, 20, 10}, 0},
		{vision.Box{0, 0, 10, 10}, vision.Box{11, 11, 20, 20}, 0},
		{vision.Box{0, 0, 0, 0}, vision.Box{0, 0, 0, 0}, 0},
		{vision.Box{10, 10, 0, 0}, vision.Box{0, 0, 10, 10}, 0},
	} {
		if got := c.a.IoU(c.b); got != c.want || c.b.IoU(c.a) != got {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// Boxes come back to where they are in the frame, of every fit, and what lies in the
// padding is no detection.
func TestBack(t *testing.T) {
	for name, c := range map[string]struct {
		in            vision.Input
		width, height int
		in1, want     vision.Box
	}{
		// 200x100 becomes 64x32, with 16 rows above
		"letterbox": {vision.YOLOInput(64, 64), 200, 100, vision.Box{16, 24, 32, 48}, vision.Box{50, 25, 100, 100}},
		"corner":    {vision.Input{Width: 64, Height: 64, Fit: vision.Corner}, 200, 100, vision.Box{16, 8, 32, 40}, vision.Box{50, 25, 100, 100}},
		"stretch":   {vision.Input{Width: 100, Height: 100}, 200, 50, vision.Box{10, 10, 20, 120}, vision.Box{20, 5, 40, 50}},
		// 200x100 becomes 100x50, of which 25 columns are left out on each side
		// 49x98 becomes 256x512: 49 * (256.0 / 49) is less than 256
		"shorter": {vision.Input{Width: 256, Height: 256, Fit: vision.CenterCrop, Shorter: 256}, 49, 98, vision.Box{0, 0, 256, 256}, vision.Box{0, 24.5, 49, 73.5}},
		"crop":    {vision.Input{Width: 50, Height: 50, Fit: vision.CenterCrop}, 200, 100, vision.Box{0, 0, 50, 10}, vision.Box{50, 0, 150, 20}},
	} {
		p, err := c.in.Place(c.width, c.height)
		if got := p.Back(c.in1); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	d := vision.Detector{Input: vision.YOLOInput(64, 64), Head: vision.YOLOv10{Classes: []string{"a"}}}
	found, err := d.In(200, 100, []float32{0, 0, 64, 15, 0.9, 0, 0, 0, 64, 64, 0.8, 0})
	if err != nil || len(found) != 1 || found[0].Box != (vision.Box{0, 0, 200, 100}) {
		t.Errorf("%v, %v; want the whole frame alone", found, err)
	}
	if _, err := (vision.Detector{Input: d.Input}).In(200, 100); !errors.Is(err, vision.ErrOutput) || !strings.Contains(err.Error(), "no Head") {
		t.Errorf("without a head: %v", err)
	}
}

func TestTop(t *testing.T) {
	scores := []float32{1, 3, float32(math.Log(math.E * 2)), 3}
	vision.Softmax(scores[:3])
	top, err := vision.Top(scores[:3], 2, []string{"a", "b", "c"})
	if err != nil || len(top) != 2 || top[0].Name != "b" || top[1].Class != 2 || math.Abs(float64(top[0].Score)-math.E*math.E/(3+math.E*math.E)) > 1e-6 {
		t.Errorf("%v, %v", top, err)
	}
	if _, err := vision.Top(scores, 1, []string{"a"}); !errors.Is(err, vision.ErrOutput) {
		t.Errorf("classes without names: %v", err)
	}
	if names := vision.COCO(); len(names) != 80 || names[0] != "person" || names[79] != "toothbrush" {
		t.Errorf("%d classes", len(names))
	}
}

// Pieces of an image, for the networks behind the first of a cascade.
func TestCrop(t *testing.T) {
	img := vision.NewImage(4, 3)
	for i := range img.Pix {
		img.Pix[i] = byte(i/3 + 1)
	}
	reds := func(b vision.Box) (all []byte) {
		piece, err := img.Crop(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(piece.Pix); i += 3 {
			all = append(all, piece.Pix[i])
		}
		return all
	}
	for _, c := range []struct {
		box  vision.Box
		want []byte
	}{
		{vision.Box{1, 1, 3, 3}, []byte{6, 7, 10, 11}},
		{vision.Box{-1, -1, 1, 1}, []byte{0, 0, 0, 1}},
		{vision.Box{3.4, 1.6, 5.4, 3.6}, []byte{12, 0, 0, 0}},
		{vision.Box{9, 9, 10, 10}, []byte{0}},
	} {
		if got := reds(c.box); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.box, got, c.want)
		}
	}
	for _, bad := range []vision.Box{{}, {nan, 0, 1, 1}, {0, 0, 1e30, 1}, {0, 0, 1e5, 1e5}} {
		if _, err := img.Crop(bad); !errors.Is(err, vision.ErrSize) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if got := vision.Square(vision.Box{0, 0, 4, 10}); got != (vision.Box{-3, 0, 7, 10}) {
		t.Errorf("square %v", got)
	}
}
