package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml/vision"
)

// Every object of the scenes is found where it is, and nothing else.
func TestObjects(t *testing.T) {
	const frames = 8
	var batch []Frame
	var drawn [frames][]vision.Detection
	for i := range frames {
		jpeg, objects := scene(i)
		drawn[i] = objects
		f, err := newFrame(fmt.Sprint(i), jpeg)
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, f)
	}
	got, err := enginetest.Run(t, [][]Frame{batch}, 1, objects)
	if err != nil || len(got) != 1 || len(got[0]) != frames {
		t.Fatalf("%d batches, %v", len(got), err)
	}
	all := 0
	for i, f := range got[0] {
		want := drawn[i]
		all += len(want)
		if len(f.Objects) != len(want) {
			t.Errorf("frame %s, want %v", f, want)
		}
		for _, w := range want {
			found := false
			for _, o := range f.Objects {
				found = found || o.Class == w.Class && o.Box.IoU(w.Box) > 0.75
			}
			if !found {
				t.Errorf("frame %s: there is no %v", f, w)
			}
		}
	}
	if all < 2*frames {
		t.Errorf("only %d objects", all)
	}
	size := func(s *strip) image.Point {
		file, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		return image.Pt(config.Width, config.Height)
	}
	var log bytes.Buffer
	s := &strip{path: filepath.Join(t.TempDir(), "missing", "strip.png"), columns: 2, most: 5, log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := s.add(engine.Batch{}, got[0][:1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that there isn't: %v", err)
	}
	if err := s.check(); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("before it: %v", err)
	}
	s.path = filepath.Join(t.TempDir(), "strip.png")
	if err := s.check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		frames int // of the stream so far; the batch comes again
		want   image.Point
	}{{1, image.Pt(320, 256)}, {3, image.Pt(644, 516)}, {3, image.Pt(644, 516)}, {frames, image.Pt(644, 776)}} { // 4 pixels between them, 16 above for the name
		if err := s.add(engine.Batch{}, got[0][:c.frames]); err != nil {
			t.Fatal(err)
		}
		if got := size(s); got != c.want {
			t.Errorf("after %d frames the strip has %v pixels, want %v", c.frames, got, c.want)
		}
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if err := s.add(engine.Batch{}, got[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path); err == nil {
		t.Error("a full strip is written again")
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), `msg="the first frames are drawn as they come"`) {
		t.Errorf("%d lines are logged, want one: %s", n, &log)
	}
}

// The line at the end has each batch once, and there is none where no batch was run.
func TestTotals(t *testing.T) {
	var log bytes.Buffer
	all := totals{log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := all.write(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("before the first batch: %v, %s", err, &log)
	}
	for _, b := range []struct {
		seq     uint64
		objects []int
	}{{1, []int{2, 3}}, {2, nil}, {3, []int{4}}, {3, []int{4}}} {
		if err := all.add(engine.Batch{Seq: b.seq}, b.objects); err != nil {
			t.Fatal(err)
		}
	}
	if err := all.write(t.Context()); err != nil || !strings.Contains(log.String(), `msg="the stream has ended" frames=3 objects=9`) {
		t.Errorf("%v, %s", err, &log)
	}
}

// Labels lie in the frame, on no other one and on no other object while there is room.
func TestLabels(t *testing.T) {
	cell := image.Rect(100, 50, 100+sceneWidth, 50+sceneHeight)
	circle := vision.Detection{Name: "circle", Score: 0.9} // 79 pixels wide, 13 high
	for _, boxes := range [][]image.Rectangle{
		{image.Rect(100, 50, 140, 90)},                                   // at the top
		{image.Rect(395, 250, 420, 290)},                                 // at the right and the bottom
		{image.Rect(150, 100, 190, 140), image.Rect(200, 100, 240, 140)}, // side by side
		{image.Rect(150, 100, 190, 140), image.Rect(160, 60, 200, 95)},   // one above the other
		{cell, image.Rect(100, 50, 110, 60)},
	} {
		objects := slices.Repeat([]vision.Detection{circle}, len(boxes))
		labels := placeLabels(cell, boxes, objects)
		for i, l := range labels {
			if !l.In(cell) || l.Size() != image.Pt(79, 13) {
				t.Errorf("%v: label %v isn't in the frame", boxes, l)
			}
			for k := range boxes {
				if k != i && (l.Overlaps(labels[k]) || l.Overlaps(boxes[k]) && boxes[k] != cell) {
					t.Errorf("%v: label %v of object %d lies on object %d", boxes, l, i, k)
				}
			}
		}
	}
}

// Each frame has its name above it, within its width.
func TestTitles(t *testing.T) {
	jpeg, _ := scene(0)
	frame := func(name string) Found { return Found{Frame: name, JPEG: jpeg} }
	file, err := pictureOf([]Found{frame("frame 12"), frame(""), frame(strings.Repeat("W", 100)), frame("a")}, 2)
	if err != nil {
		t.Fatal(err)
	}
	all, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ x, y, letters int }{{0, 0, 8}, {324, 0, 0}, {0, 260, 45}, {324, 260, 1}} {
		last := -1 // column with ink
		for y := want.y; y < want.y+titleHeight; y++ {
			for x := want.x; x < min(want.x+cellWidth+4, all.Bounds().Max.X); x++ {
				if r, _, _, _ := all.At(x, y).RGBA(); r < 0x8000 {
					last = max(last, x-want.x)
				}
			}
		}
		if low, high := 1+(want.letters-1)*letterWidth, want.letters*letterWidth; want.letters == 0 && last >= 0 || want.letters > 0 && (last < low || last > high) {
			t.Errorf("the title of frame %d ends at column %d, want %d letters", i, last, want.letters)
		}
	}
}

// A frame is called by its record's key, else by its place.
func TestNames(t *testing.T) {
	jpeg, _ := scene(0)
	for want, r := range map[string]*kafka.Record{"frame 7": {Key: []byte("frame 7"), Value: jpeg}, "partition 2, offset 40": {Partition: 2, Offset: 40, Value: jpeg}} {
		if f, err := frameOf(r); err != nil || f.Name != want {
			t.Errorf("%q, %v, want %q", f.Name, err, want)
		}
	}
}

// Frames of another size than the scenes' are scaled, with their boxes.
func TestLargeFrame(t *testing.T) {
	img := vision.NewImage(4*cellWidth, 2*cellHeight) // a quarter of it fits
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	all := image.NewRGBA(image.Rect(0, 0, cellWidth, cellHeight))
	box := vision.Box{X1: 400, Y1: 100, X2: 800, Y2: 300}
	if err := drawFrame(all, image.Point{}, Found{JPEG: file.Bytes(), Objects: []vision.Detection{{Box: box, Name: "a"}}}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[image.Point]color.RGBA{
		{99, 50}: {255, 255, 255, 255}, {100, 50}: {0, 0, 0, 255}, {200, 75}: {0, 0, 0, 255}, {150, 40}: {255, 255, 255, 255}, {0, 121}: {},
	} {
		if got := all.RGBAAt(at.X, at.Y); got != want {
			t.Errorf("pixel %v is %v, want %v", at, got, want)
		}
	}
}

// A record that isn't a whole image is a bad one.
func TestBadFrames(t *testing.T) {
	jpeg, _ := scene(0)
	for _, value := range [][]byte{nil, []byte("hello"), jpeg[:len(jpeg)/2]} {
		if _, err := frameOf(&kafka.Record{Value: value}); !errors.Is(err, vision.ErrImage) {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	}
}
