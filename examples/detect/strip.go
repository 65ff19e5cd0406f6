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

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/vision"
)

// strip keeps the first frames with what was found in them and writes them into one
// picture. Only the driver's copy of it is ever used.
type strip struct {
	path          string
	columns, most int
	log           *slog.Logger

	kept    []Found
	written bool
}

// add takes in a batch. A batch that comes again after a failure adds nothing.
func (s *strip) add(_ engine.Batch, batch []Found) error {
	for _, f := range batch {
		if s.written || s.has(f.Frame) {
			continue
		}
		if s.kept = append(s.kept, f); len(s.kept) < s.most {
			continue
		}
		s.written = true
		picture, err := pictureOf(s.kept, s.columns)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.path, picture, 0o644); err != nil {
			return fmt.Errorf("writing the strip: %w", err)
		}
		s.log.Info("the first frames are drawn", "file", s.path)
	}
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

// pictureOf draws frames beside each other, as a PNG.
func pictureOf(frames []Found, columns int) ([]byte, error) {
	const gap = 4
	rows := (len(frames) + columns - 1) / columns
	all := image.NewRGBA(image.Rect(0, 0, columns*(sceneWidth+gap), rows*(sceneHeight+gap)))
	draw.Draw(all, all.Bounds(), image.White, image.Point{}, draw.Src)
	for i, f := range frames {
		img, err := vision.Decode(f.JPEG)
		if err != nil {
			return nil, fmt.Errorf("drawing %s: %w", f.Frame, err)
		}
		at := image.Pt(i%columns*(sceneWidth+gap), i/columns*(sceneHeight+gap))
		piece := image.Rect(0, 0, sceneWidth, sceneHeight).Add(at)
		draw.Draw(all, piece, img, image.Point{}, draw.Src)
		for _, o := range f.Objects {
			outline(all.SubImage(piece).(*image.RGBA), at, o)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, all); err != nil {
		return nil, fmt.Errorf("encoding the strip: %w", err)
	}
	return b.Bytes(), nil
}

// outline draws a detection's box and says what it is.
func outline(img *image.RGBA, at image.Point, o vision.Detection) {
	const line = 2
	fill := func(r image.Rectangle, c color.Color) {
		draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
	}
	colours := []color.Color{color.RGBA{0, 0, 0, 255}, color.RGBA{120, 0, 120, 255}, color.RGBA{0, 80, 0, 255}}
	c := colours[o.Class%len(colours)]
	box := image.Rect(int(o.Box.X1), int(o.Box.Y1), int(o.Box.X2)+1, int(o.Box.Y2)+1).Add(at)
	for _, side := range []image.Rectangle{
		{box.Min, image.Pt(box.Max.X, box.Min.Y+line)}, {image.Pt(box.Min.X, box.Max.Y-line), box.Max},
		{box.Min, image.Pt(box.Min.X+line, box.Max.Y)}, {image.Pt(box.Max.X-line, box.Min.Y), box.Max},
	} {
		fill(side, c)
	}
	text := fmt.Sprintf("%s %.2f", o.Name, o.Score)
	label := image.Rect(0, 0, 7*len(text)+2, 13)
	label = label.Add(image.Pt(min(box.Min.X, at.X+sceneWidth-label.Dx()), max(box.Min.Y-label.Dy(), at.Y)))
	fill(label, c)
	d := font.Drawer{Dst: img, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(label.Min.X+1, label.Max.Y-3)}
	d.DrawString(text)
}
