package engine_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

var update = flag.Bool("update", false, "draw docs/images/backpressure.svg anew")

// seen is what a listener saw of batches, by the time at which they were complete.
type seen struct {
	began   time.Time
	backlog curve // behind a batch, when it was planned

	// Of batches that held something:
	records curve
	delay   curve // scheduling delay, in seconds
	took    curve // processing time, in seconds
}

// OnBatchCompleted notes a batch.
func (s *seen) OnBatchCompleted(b engine.BatchInfo) {
	at := time.Since(s.began).Seconds()
	s.backlog = append(s.backlog, dot{at, float64(b.Backlog)})
	if b.Records > 0 {
		s.records = append(s.records, dot{at, float64(b.Records)})
		s.delay = append(s.delay, dot{at, b.SchedulingDelay.Seconds()})
		s.took = append(s.took, dot{at, b.ProcessingTime.Seconds()})
	}
}

// tooSlow returns what is seen of a program that can do 1,000 records/s when 1,500 come.
func tooSlow(t *testing.T, args ...string) *seen {
	t.Helper()
	s := &seen{}
	l := &load{interval: time.Second, lasts: time.Minute, rate: 1500, cost: linear(5*ms, ms), args: args, listener: s}
	synctest.Test(t, func(t *testing.T) {
		l.began, s.began = time.Now(), time.Now()
		l.runHere(t)
	})
	return s
}

// afterPause returns what is seen of a program that can do 1,000 records/s when 500 come, after
// it was down for a minute and a half.
func afterPause(t *testing.T, args ...string) *seen {
	t.Helper()
	s := &seen{}
	args = append([]string{"--checkpoint", t.TempDir()}, args...)
	l := &load{interval: time.Second, lasts: 10 * time.Second, rate: 500, cost: linear(5*ms, ms), args: args}
	synctest.Test(t, func(t *testing.T) {
		l.began = time.Now()
		l.runHere(t)
		time.Sleep(90 * time.Second)
		s.began = time.Now()
		l.lasts, l.listener = 2*time.Minute, s
		l.runHere(t)
	})
	return s
}

// A consumer that is too slow settles at its rate with a bounded delay, and after a pause no batch
// swallows all that waits. Without backpressure both are otherwise. With -update this is drawn.
func TestBackpressureDrawn(t *testing.T) {
	const off = "streaming.backpressure.enabled=false"
	slow, slowOff := tooSlow(t), tooSlow(t, "--conf", off)
	pause, pauseOff := afterPause(t), afterPause(t, "--conf", off)

	if d := slow.delay.after(10).most(); d > 2 {
		t.Errorf("too slow: a batch waits for %.1f s", d)
	}
	if n := slow.records.after(10).mean(); n < 900 || n > 1000 {
		t.Errorf("too slow: a batch holds %.0f records, 1,000 fit into the interval", n)
	}
	if n := pause.records.most(); n > 2000 {
		t.Errorf("after a pause a batch holds %.0f records, 1,000 fit into the interval", n)
	}
	if last := pause.backlog[len(pause.backlog)-1].y; pause.backlog.most() < 40_000 || last > 500 {
		t.Errorf("after a pause %.0f records wait, and %.0f at the end", pause.backlog.most(), last)
	}
	if n := pauseOff.records.most(); n < 40_000 {
		t.Errorf("without backpressure a batch after a pause holds %.0f records at most", n)
	}
	if d := pause.took.most(); d > 2 {
		t.Errorf("after a pause a batch takes %.1f s", d)
	}
	if d := slowOff.delay.most(); d < 5 {
		t.Errorf("without backpressure a batch of the program that is too slow waits for %.1f s at most", d)
	}
	if !*update {
		return
	}
	picture := drawing([]panel{
		{"1,500 records/s come, 1,000 can be done: scheduling delay, s", 60, slow.delay, slowOff.delay},
		{"records in a batch", 60, slow.records, slowOff.records},
		{"500/s come, after 90 s down: processing time, s", 120, pause.took, pauseOff.took},
		{"records in a batch", 120, pause.records, pauseOff.records},
	})
	if err := os.WriteFile("../docs/images/backpressure.svg", []byte(picture), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A dot of a curve.
type dot struct{ x, y float64 }

// curve is dots in the order of x.
type curve []dot

// after returns what of the curve comes after x.
func (c curve) after(x float64) curve {
	for len(c) > 0 && c[0].x < x {
		c = c[1:]
	}
	return c
}

// most returns the largest y.
func (c curve) most() (most float64) {
	for _, p := range c {
		most = max(most, p.y)
	}
	return most
}

// mean returns the mean y.
func (c curve) mean() (sum float64) {
	for _, p := range c {
		sum += p.y
	}
	return sum / float64(len(c))
}

// panel is two curves, with and without backpressure, over the seconds from 0 to until.
type panel struct {
	title     string
	until     float64
	with, not curve
}

// Measures of the picture.
const (
	panelWidth, panelHeight = 420, 230
	plotWidth, plotHeight   = 340, 150
	plotLeft, plotTop       = 62, 40
	withColor, notColor     = "#1565c0", "#d84315"
)

// drawing draws panels, two in a row, as an SVG file.
func drawing(panels []panel) string {
	var b strings.Builder
	w, h := 2*panelWidth, (len(panels)+1)/2*panelHeight+30
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", w, h)
	fmt.Fprintf(&b, `<text x="%d" y="20"><tspan fill="%s">● with backpressure</tspan> <tspan dx="12" fill="%s">● without</tspan></text>`+"\n", plotLeft, withColor, notColor)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%2*panelWidth, i/2*panelHeight+30)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws the panel: its axes, and then its curves.
func (p panel) draw(b *strings.Builder) {
	const ticks = 4
	top := roundUp(max(p.with.most(), p.not.most()), ticks)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", plotLeft, plotTop-14, p.title)
	for i := range ticks + 1 {
		part := float64(i) / ticks
		y := plotTop + plotHeight*(1-part)
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`, plotLeft, y, plotWidth, plotLeft-6, y+4, top*part)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g s</text>`+"\n", plotLeft+plotWidth*part, plotTop+plotHeight+18, p.until*part)
	}
	p.not.draw(b, notColor, p.until, top)
	p.with.draw(b, withColor, p.until, top)
}

// draw draws the curve, up to x and y at the plot's corner.
func (c curve) draw(b *strings.Builder, color string, x, y float64) {
	var line strings.Builder
	for _, p := range c {
		if p.x <= x {
			at := fmt.Sprintf("%.1f %.1f", plotLeft+plotWidth*p.x/x, plotTop+plotHeight*(1-p.y/y))
			fmt.Fprintf(&line, "L%s", at)
			fmt.Fprintf(b, `<circle cx="%s" r="2" fill="%s"/>`, strings.Replace(at, " ", `" cy="`, 1), color)
		}
	}
	if line.Len() > 0 {
		fmt.Fprintf(b, `<path d="M%s" fill="none" stroke="%s"/>`+"\n", line.String()[1:], color)
	}
}

// roundUp returns a round number that is v at least and has as many round parts.
func roundUp(v float64, parts int) float64 {
	for step := 1.0; ; step *= 10 {
		for _, times := range []float64{1, 1.5, 2, 2.5, 3, 5} {
			if top := step * times * float64(parts); top >= v {
				return top
			}
		}
	}
}
