package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/vision"
)

// strip keeps the first frames with what was found in them and writes them into one
// picture, with each batch that brings more of them. Only the driver's copy of it is ever used.
type strip struct {
	path          string
	columns, most int
	log           *slog.Logger

	kept  []Found
	drawn int // of kept, in the file
}

// check reports a file that can't be written, before the first frame comes.
func (s *strip) check() error {
	dir := filepath.Dir(s.path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: --strip %s: there is no directory %s", engine.ErrUsage, s.path, dir)
	}
	return nil
}

// add takes in a batch. A batch that comes again after a failure adds nothing.
func (s *strip) add(_ engine.Batch, batch []Found) error {
	for _, f := range batch {
		if len(s.kept) < s.most && !s.has(f.Frame) {
			s.kept = append(s.kept, f)
		}
	}
	if s.drawn == len(s.kept) {
		return nil
	}
	picture, err := pictureOf(s.kept, s.columns)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path, picture, 0o644); err != nil {
		return fmt.Errorf("writing the strip: %w", err)
	}
	if s.drawn == 0 {
		s.log.Info("the first frames are drawn as they come", "file", s.path, "most", s.most)
	}
	s.drawn = len(s.kept)
	return nil
}

func (s *strip) has(frame string) bool {
	for _, f := range s.kept {
		if f.Frame == frame {
			return true
		}
	}
	return false
}

// The size of a frame in the picture, in which frames of another size are scaled.
const cellWidth, cellHeight = sceneWidth, sceneHeight

// The size of letters, and the height of the line above a frame that says its name.
const letterWidth, letterHeight, titleHeight = 7, 13, 16

// pictureOf draws frames beside each other, each below its name, as a PNG.
func pictureOf(frames []Found, columns int) ([]byte, error) {
	const gap, height = 4, titleHeight + cellHeight
	columns = min(columns, len(frames))
	rows := (len(frames) + columns - 1) / columns
	all := image.NewRGBA(image.Rect(0, 0, columns*(cellWidth+gap)-gap, rows*(height+gap)-gap))
	draw.Draw(all, all.Bounds(), image.White, image.Point{}, draw.Src)
	for i, f := range frames {
		at := image.Pt(i%columns*(cellWidth+gap), i/columns*(height+gap))
		write(all, titleOf(f.Frame), image.Black, at.Add(image.Pt(1, titleHeight-2)))
		at.Y += titleHeight
		if err := drawFrame(all, at, f); err != nil {
			return nil, fmt.Errorf("drawing %s: %w", f.Frame, err)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, all); err != nil {
		return nil, fmt.Errorf("encoding the strip: %w", err)
	}
	return b.Bytes(), nil
}

// drawFrame draws a frame at a place, and what was found in it.
func drawFrame(all *image.RGBA, at image.Point, f Found) error {
	img, err := vision.Decode(f.JPEG)
	if err != nil {
		return err
	}
	scale := min(float32(cellWidth)/float32(img.Width), float32(cellHeight)/float32(img.Height))
	if scale != 1 {
		img, err = img.Resize(max(1, int(float32(img.Width)*scale+0.5)), max(1, int(float32(img.Height)*scale+0.5)), vision.Antialias)
		if err != nil {
			return err
		}
	}
	cell := img.Bounds().Add(at)
	draw.Draw(all, cell, img, image.Point{}, draw.Src)
	piece := all.SubImage(cell).(*image.RGBA)
	var boxes []image.Rectangle
	for _, o := range f.Objects {
		b := o.Box
		boxes = append(boxes, image.Rect(int(b.X1*scale), int(b.Y1*scale), int(b.X2*scale)+1, int(b.Y2*scale)+1).Add(at))
		outline(piece, boxes[len(boxes)-1], colourOf(o))
	}
	labels := placeLabels(cell, boxes, f.Objects)
	for i, o := range f.Objects {
		fill(piece, labels[i], colourOf(o))
		write(piece, labelOf(o), image.White, image.Pt(labels[i].Min.X+1, labels[i].Max.Y))
	}
	return nil
}

// placeLabels finds places for what the objects are called: above the box, below it, beside
// it or in it, the first that lies in the frame and on no other label and box; the one that
// has the least of others below it where none is free.
func placeLabels(cell image.Rectangle, boxes []image.Rectangle, objects []vision.Detection) []image.Rectangle {
	var labels []image.Rectangle
	for i, o := range objects {
		box, width := boxes[i], letterWidth*len(labelOf(o))+2
		left := min(box.Min.X, cell.Max.X-width)
		var best image.Rectangle
		least := -1
		for _, p := range []image.Point{
			{left, box.Min.Y - letterHeight}, {left, box.Max.Y}, {box.Max.X - width, box.Min.Y - letterHeight}, {box.Max.X - width, box.Max.Y},
			{box.Max.X, box.Min.Y}, {box.Min.X - width, box.Min.Y}, {left, box.Min.Y}, {left, box.Max.Y - letterHeight},
		} {
			place := image.Rect(0, 0, width, letterHeight).Add(p)
			covered := area(place) - area(place.Intersect(cell)) // what is beside the frame isn't seen
			covered *= 100
			for k, other := range boxes {
				if k != i {
					covered += area(place.Intersect(other))
				}
			}
			for _, other := range labels {
				covered += 10 * area(place.Intersect(other))
			}
			if least < 0 || covered < least {
				best, least = place, covered
			}
		}
		labels = append(labels, best)
	}
	return labels
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

// titleOf is a frame's name, cut where it would be wider than the frame.
func titleOf(name string) string {
	const most, cut = cellWidth / letterWidth, "..."
	if letters := []rune(name); len(letters) > most {
		return string(letters[:most-len(cut)]) + cut
	}
	return name
}

// labelOf says what an object is.
func labelOf(o vision.Detection) string { return fmt.Sprintf("%s %.2f", o.Name, o.Score) }

// colourOf is the colour of an object's class.
func colourOf(o vision.Detection) color.Color {
	colours := []color.Color{color.RGBA{0, 0, 0, 255}, color.RGBA{120, 0, 120, 255}, color.RGBA{0, 80, 0, 255}}
	return colours[o.Class%len(colours)]
}

// outline draws the sides of a box.
func outline(img *image.RGBA, box image.Rectangle, c color.Color) {
	const line = 2
	for _, side := range []image.Rectangle{
		{box.Min, image.Pt(box.Max.X, box.Min.Y+line)}, {image.Pt(box.Min.X, box.Max.Y-line), box.Max},
		{box.Min, image.Pt(box.Min.X+line, box.Max.Y)}, {image.Pt(box.Max.X-line, box.Min.Y), box.Max},
	} {
		fill(img, side, c)
	}
}

// write writes a line whose letters end, below, at a place.
func write(img *image.RGBA, line string, c image.Image, at image.Point) {
	d := font.Drawer{Dst: img, Src: c, Face: basicfont.Face7x13, Dot: fixed.P(at.X, at.Y-3)}
	d.DrawString(line)
}

func fill(img *image.RGBA, r image.Rectangle, c color.Color) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}
