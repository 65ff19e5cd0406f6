package extensions

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

// Plotter draws observed values over the epochs.
type Plotter struct {
	// File is the PNG file's name in the output directory, or an absolute path.
	File string
	// Keys are the values to draw.
	Keys []string
	// Title stands above the plot; "" leaves it out.
	Title string
	// Every is how often a point is added and the file rewritten (default
	// every epoch).
	Every training.Trigger

	journal journal
}

// PlotReport draws the means of every epoch as a PNG. Without keys these are
// "main/loss" and "validation/main/loss".
func PlotReport(file string, keys ...string) *Plotter {
	if len(keys) == 0 {
		keys = []string{"main/loss", "validation/main/loss"}
	}
	return &Plotter{File: file, Keys: keys, Every: training.Epochs(1)}
}

// Name is "PlotReport".
func (p *Plotter) Name() string { return "PlotReport" }

// Trigger is every iteration: it collects all observations.
func (p *Plotter) Trigger() training.Trigger { return training.Iterations(1) }

// Priority is a reader's.
func (p *Plotter) Priority() int { return training.PriorityReader - 5 }

// Run takes the iteration in and draws when an interval is over.
func (p *Plotter) Run(_ context.Context, t *training.Trainer) error {
	p.journal.every = p.Every
	if !p.journal.add(t) {
		return nil
	}
	png, err := p.draw()
	if err != nil {
		return fmt.Errorf("drawing %s: %w", p.File, err)
	}
	return writeFile(t, p.File, png)
}

// Serialize visits the points drawn so far.
func (p *Plotter) Serialize(s *serializers.Serializer) {
	p.journal.every = p.Every
	p.journal.Serialize(s)
}

func (p *Plotter) draw() ([]byte, error) {
	chart := plot.New()
	chart.Title.Text = p.Title
	chart.X.Label.Text = "epoch"
	chart.Legend.Top = true
	chart.Add(plotter.NewGrid())
	for i, key := range p.Keys {
		var points plotter.XYs
		for _, r := range p.journal.records {
			if v, ok := r[key]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				points = append(points, plotter.XY{X: r["epoch"], Y: v})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
		line.Width, dots.Shape = vg.Points(1.5), draw.CircleGlyph{}
		chart.Add(line, dots)
		chart.Legend.Add(key, line, dots)
	}
	canvas := vgimg.New(16*vg.Centimeter, 11*vg.Centimeter)
	chart.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
