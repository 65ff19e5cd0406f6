package paper

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is lines over a few values of x, each point a median with its spread.
type Chart struct {
	X, Y   string   // what the axes are
	Ticks  []string // the values of x, evenly apart
	Series []Series
}

// Series is a line.
type Series struct {
	Name   string
	Row    string // of the legend, "" if it has none: lines in pairs are one of each row
	Color  int    // of chart.css
	Dashed bool
	Points []Stat // one for each tick; N is 0 where there is none
}

// Measures of a chart in units of its view box, which a phone shows one pixel each.
const (
	chartWidth, chartHeight = 360, 288
	plotLeft, plotRight     = 50, 350
	plotTop, plotBottom     = 62, 244
)

// chartStyle has the colours and fonts of charts: classes c0, c1, …
//
//go:embed chart.css
var chartStyle string

// empty reports whether the chart has no points: such a one isn't drawn.
func (c Chart) empty() bool {
	return !slices.ContainsFunc(c.Series, func(s Series) bool {
		return slices.ContainsFunc(s.Points, func(p Stat) bool { return p.N > 0 })
	})
}

// SVG draws the chart, for a page that has chartStyle.
func (c Chart) SVG(title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 %d %d %d" role="img" aria-label="%s">`, c.y0(), chartWidth, chartHeight-c.y0(), html.EscapeString(title))
	c.draw(&b)
	b.WriteString("</svg>")
	return b.String()
}

// Image draws the chart as a file of its own, with its background, half as large again.
func (c Chart) Image(title string) string {
	const margin = 10
	width, height := chartWidth+2*margin, chartHeight-c.y0()+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="%d %d %d %d" role="img">`,
		width*3/2, height*3/2, -margin, c.y0()-margin, width, height)
	fmt.Fprintf(&b, "<title>%s</title><style>\n%s</style>", html.EscapeString(title), chartStyle)
	fmt.Fprintf(&b, `<rect class="back" x="%d" y="%d" width="%d" height="%d"/>`, -margin, c.y0()-margin, width, height)
	c.draw(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws what the chart shows.
func (c Chart) draw(b *strings.Builder) {
	top, step := c.scale()
	c.axes(b, top, step)
	c.legend(b)
	for i, s := range c.Series {
		c.line(b, s, top, c.dodge(i))
	}
}

// scale returns where the axis of y ends, and the distance of its ticks.
func (c Chart) scale() (top, step float64) {
	for _, s := range c.Series {
		for _, p := range s.Points {
			top = max(top, p.Max)
		}
	}
	if top == 0 {
		return 1, 1
	}
	const ticks = 5 // at most
	step = math.Pow(10, math.Floor(math.Log10(top/ticks)))
	for _, times := range []float64{1, 2, 2.5, 5, 10} {
		if times*step*ticks >= top {
			step *= times
			break
		}
	}
	return math.Ceil(top/step) * step, step
}

// axes draws the grid, the ticks and what the axes are.
func (c Chart) axes(b *strings.Builder, top, step float64) {
	for i := 0; float64(i)*step <= top*1.001; i++ {
		v := float64(i) * step
		y := yOf(v, top)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotRight, y, y, plotLeft-6, y+4, short(v))
	}
	for i, t := range c.Ticks {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, c.xOf(i), plotBottom+17, html.EscapeString(t))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text><text x="2" y="%d">%s</text>`,
		(plotLeft+plotRight)/2, chartHeight-8, html.EscapeString(c.X), plotTop-10, html.EscapeString(c.Y))
}

// short writes a tick of the axis of y.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Measures of the legend: pairs of lines in columns. The first row of them is within
// chartHeight.
const legendColumns, legendHeight = 3, 34

// y0 returns where the chart begins: below 0 with a legend of more rows, above it without
// one.
func (c Chart) y0() int {
	if len(c.Series) < 2 {
		return legendHeight
	}
	return -((len(c.Series) - 1) / (2 * legendColumns) * legendHeight)
}

// legend says which line is which.
func (c Chart) legend(b *strings.Builder) {
	if len(c.Series) < 2 {
		return
	}
	const left, width, height = 52, 103, 16
	for i, s := range c.Series {
		// Bare above the engine, one column for each number of consumers.
		x, y := left+(i/2%legendColumns)*width, c.y0()+10+(i%2)*height+i/(2*legendColumns)*legendHeight
		if s.Row != "" && x == left {
			fmt.Fprintf(b, `<text x="2" y="%d">%s</text>`, y+4, html.EscapeString(s.Row))
		}
		fmt.Fprintf(b, `<g class="c%d"><line class="%s" x1="%d" x2="%d" y1="%d" y2="%d"/>%s<text x="%d" y="%d">%s</text></g>`,
			s.Color, s.class(), x, x+22, y, y, s.marker(float64(x+11), float64(y)), x+27, y+4, html.EscapeString(s.Name))
	}
}

// full names the line without its legend.
func (s Series) full() string {
	if s.Row == "" {
		return s.Name
	}
	return s.Name + ", " + s.Row
}

func (s Series) class() string {
	if s.Dashed {
		return "line dashed"
	}
	return "line"
}

// MaxColors is how many colours and markers there are: more lines, and as many dashed
// ones, can't be told apart.
const MaxColors = 6

// marker draws a point of the line: its shape tells lines apart as the colour does.
func (s Series) marker(x, y float64) string {
	switch s.Color {
	case 1:
		return fmt.Sprintf(`<rect class="dot" x="%.1f" y="%.1f" width="7" height="7"/>`, x-3.5, y-3.5)
	case 2:
		return fmt.Sprintf(`<path class="dot" d="M%.1f %.1fl4.5 8h-9z"/>`, x, y-5)
	case 3:
		return fmt.Sprintf(`<path class="dot" d="M%.1f %.1fl5 5l-5 5l-5 -5z"/>`, x, y-5)
	case 4:
		return fmt.Sprintf(`<path class="dot" d="M%.1f %.1fl4.5 -8h-9z"/>`, x, y+5)
	case 5:
		return fmt.Sprintf(`<path class="dot" d="M%.1f %.1fh3v3h3v3h-3v3h-3v-3h-3v-3h3z"/>`, x-1.5, y-4.5)
	}
	return fmt.Sprintf(`<circle class="dot" cx="%.1f" cy="%.1f" r="3.8"/>`, x, y)
}

// line draws a line with the spread of its points.
func (c Chart) line(b *strings.Builder, s Series, top, shift float64) {
	fmt.Fprintf(b, `<g class="c%d">`, s.Color)
	var path, dots strings.Builder
	drawing := false
	for i, p := range s.Points {
		if p.N == 0 {
			drawing = false
			continue
		}
		x, y := c.xOf(i)+shift, yOf(p.Median, top)
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[btoi(drawing)], x, y)
		drawing = true
		fmt.Fprintf(&dots, `<g><title>%s, %s %s: %s</title>`, html.EscapeString(s.full()), html.EscapeString(c.Ticks[i]), html.EscapeString(c.X), p)
		if p.N > 1 {
			fmt.Fprintf(&dots, `<line class="spread" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, yOf(p.Min, top), yOf(p.Max, top))
		}
		dots.WriteString(s.marker(x, y) + "</g>")
	}
	fmt.Fprintf(b, `<path class="%s" d="%s"/>%s</g>`, s.class(), path.String(), dots.String())
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}

// dodge moves a line sideways, so that the spreads of several can be told apart, within
// what belongs to a tick.
func (c Chart) dodge(i int) float64 {
	apart := min(3, 0.7*(plotRight-plotLeft)/float64(len(c.Ticks)*len(c.Series)))
	return apart * (float64(i) - float64(len(c.Series)-1)/2)
}

func (c Chart) xOf(i int) float64 {
	return plotLeft + (float64(i)+0.5)*(plotRight-plotLeft)/float64(len(c.Ticks))
}

func yOf(v, top float64) float64 { return plotBottom - v/top*(plotBottom-plotTop) }
