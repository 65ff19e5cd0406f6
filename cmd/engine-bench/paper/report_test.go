package paper

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testReport is of a grid in which every run has its rate.
func testReport(g Grid) *Report {
	var rows []Row
	for run := range g.Runs() {
		m, _ := steady(run)
		rows = append(rows, Row{Run: run, Measured: m})
	}
	return &Report{Summary: Summarise(g, rows), Settings: testSettings, Command: "engine-bench paper --out <x>"}
}

func TestFindings(t *testing.T) {
	g := testGrid()
	g.Repetitions = 2
	r := testReport(g)
	want := []Finding{
		{"It writes 4.00 times as much with 4 partitions as with 1, the median of 4 cases from 4.00 to 4.00.", `It holds ("strongly": by 1.5 times or more, up or down).`},
		{"They read 1.50 times as much as it writes, the median of 8 cases from 0.50 to 4.00. The engine has 1.00 of the bare clients' rate, the median of 4 cases from 1.00 to 1.00.", `It holds in 2 of 8 cases ("about": within 20 %).`},
		{"It writes 4.00 times as much with 4 partitions as with 1: 4.00k and 1.00k images/s.", `It holds ("strongly": by 1.5 times or more, up or down).`},
		{"With 4 partitions, 2 read 2.00 times (bare), 2.00 times (engine) as much as one. The engine has 1.00 of the bare clients' rate, the median of 4 cases from 1.00 to 1.00.", `It holds ("in proportion": 0.75 of it, or more).`},
		{"With 4 partitions, in images/s: 1 consumer 2.00k (bare), 2.00k (engine); 2 consumers 4.00k (bare), 4.00k (engine). The engine has 1.00 of the bare clients' rate, the median of 4 cases from 1.00 to 1.00.", ""},
	}
	for i, f := range r.Figures(Setup{1, 1}) {
		if f.Finding != want[i] {
			t.Errorf("%s: %q\nwant %q", f.Name, f.Finding, want[i])
		}
	}
	for _, f := range Summarise(testGrid(), nil).Figures(Setup{1, 1}) {
		if f.Finding != notMeasured {
			t.Errorf("%s without a run: %q", f.Name, f.Finding)
		}
	}
	g.Partitions = []int{4}
	if f := testReport(g).Figures(Setup{1, 1})[2]; f.Finding != (Finding{Here: "It takes two numbers of partitions to see."}) {
		t.Errorf("one number of partitions: %q", f.Finding)
	}
}

// What the runs' spread leaves open isn't decided.
func TestVerdicts(t *testing.T) {
	few, many := stat([]float64{9, 10, 11}), func(least, most float64) Stat { return stat([]float64{least, (least + most) / 2, most}) }
	holds, fails, open, once := many(20, 25), many(8, 12), many(14, 17), stat([]float64{20})
	for _, c := range []struct {
		of   []Stat
		want string
	}{
		{[]Stat{holds, holds}, `It holds ("strongly": 1.5).`},
		{[]Stat{fails, fails}, `It doesn't hold ("strongly": 1.5).`},
		{[]Stat{open, open}, `It is within the spread ("strongly": 1.5).`},
		{[]Stat{holds, fails}, `It holds in 1 of 2 cases ("strongly": 1.5).`},
		{[]Stat{holds, fails, open, open}, `It holds in 1 of 4 cases, doesn't in 1, and is within the spread in 2 ("strongly": 1.5).`},
		{[]Stat{holds, once}, `It holds ("strongly": 1.5). Some rates are of one run.`},
	} {
		var y tally
		for _, s := range c.of {
			y.add(s, few, bounds{1.5, math.Inf(1)})
		}
		if got := y.verdict("strongly", "1.5"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for most, want := range map[float64]string{11: "It holds", 14: "It is within the spread", 30: "It is within the spread"} {
		var y tally
		y.add(many(10, most), stat([]float64{10, 10, 10}), bounds{0.8, 1.2})
		if got := y.says(); got != want {
			t.Errorf("from 1 to %g times: %q, want %q", most/10, got, want)
		}
	}
	var above tally
	above.add(many(13, 14), stat([]float64{10, 10, 10}), bounds{0.8, 1.2})
	if got := above.says(); got != "It doesn't hold" {
		t.Errorf("from 1.3 times: %q", got)
	}
}

// A rate that falls by as much depends as strongly.
func TestStronglyDown(t *testing.T) {
	for _, c := range []struct {
		times []float64 // the rate of one partition, with four
		want  string
	}{
		{[]float64{0.5, 0.6}, "It holds"},
		{[]float64{0.6, 0.9}, "It is within the spread"},
		{[]float64{0.8, 1.2}, "It doesn't hold"},
		{[]float64{0.5, 1.6}, "It is within the spread"},
		{[]float64{1.6, 2}, "It holds"},
	} {
		g := testGrid()
		g.Repetitions = len(c.times)
		var rows []Row
		for i, times := range c.times {
			for partitions, rate := range map[int]float64{1: 5000, 4: 5000 * times} {
				rows = append(rows, Row{Run: Run{Cell{Setup{1, 1}, partitions, Write, Nobody, 0}, i + 1}, Measured: Measured{Written: rate}})
			}
		}
		if v := Summarise(g, rows).Figures(Setup{1, 1})[2].Verdict; !strings.HasPrefix(v, c.want+" (") {
			t.Errorf("%v times: %q, want %q", c.times, v, c.want)
		}
	}
}

// Whether consumers keep up with the producer is a run's own ratio: runs may differ.
func TestKeepingUpIsOfOneRun(t *testing.T) {
	g := testGrid()
	g.Repetitions = 2
	var rows []Row
	for run := range g.Runs() {
		m, _ := steady(run)
		times := float64(run.Repetition)
		rows = append(rows, Row{Run: run, Measured: Measured{Written: times * m.Written, Read: 0.9 * times * m.Written}})
	}
	r := &Report{Summary: Summarise(g, rows), Settings: testSettings}
	if f := r.Figures(Setup{1, 1})[1]; !strings.HasPrefix(f.Verdict, "It holds (") {
		t.Errorf("%q", f.Verdict)
	}
}

// A grid in which consumers can't grow says what it takes, measured or not.
func TestNoGrowth(t *testing.T) {
	for _, c := range []struct{ partitions, consumers []int }{{[]int{1, 4}, []int{2, 4}}, {[]int{1, 4}, []int{1}}, {[]int{1}, []int{1, 2}}} {
		g := testGrid()
		g.Partitions, g.Consumers = c.partitions, c.consumers
		if f := testReport(g).Figures(Setup{1, 1})[3]; !strings.HasPrefix(f.Here, "It takes one consumer and several, on as many partitions, to see. The engine has ") || f.Verdict != "" {
			t.Errorf("partitions %v, consumers %v: %q", c.partitions, c.consumers, f.Finding)
		}
	}
}

// One run has no spread, which a verdict says.
func TestOneRun(t *testing.T) {
	r := testReport(testGrid())
	for _, f := range r.Figures(Setup{1, 1})[:4] {
		if !strings.HasPrefix(f.Verdict, "It holds") || !strings.HasSuffix(f.Verdict, "). A first guess, of one run each.") {
			t.Errorf("%s: %q", f.Name, f.Verdict)
		}
	}
	var page, text, terminal bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	r.Markdown(&text)
	r.Text(&terminal)
	for name, out := range map[string]string{"page": page.String(), "markdown": text.String(), "terminal": terminal.String()} {
		if !strings.Contains(out, "Each point is of one run: it has no spread") || strings.Contains(out, "medians") {
			t.Errorf("the %s doesn't say that there is no spread", name)
		}
	}
}

// What was measured on several Kafkas stands beside each other.
func TestSeveralKafkas(t *testing.T) {
	g := testGrid()
	g.Nodes, g.Replications, g.Repetitions = []int{1, 3}, []int{1, 3}, 2
	r := testReport(g)
	if f := r.Across(); f.Here != "A producer alone, and 2 consumers on a loaded topic, with 4 partitions, in images/s. "+
		"1 broker, replication 1: written 4.00k, read 4.00k (bare), 4.00k (engine); "+
		"3 brokers, replication 1: written 4.00k, read 4.00k (bare), 4.00k (engine); "+
		"3 brokers, replication 3: written 4.00k, read 4.00k (bare), 4.00k (engine)." {
		t.Error(f.Here)
	}
	var page, text bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	r.Markdown(&text)
	if got := strings.Count(page.String(), "<svg"); got != 1+3*5 {
		t.Errorf("the page has %d charts, want five for each of three Kafkas and one more", got)
	}
	for _, want := range []string{"Several brokers", "as we read its scenarios: 3 brokers, replication 3"} {
		if !strings.Contains(page.String(), want) || !strings.Contains(text.String(), want) {
			t.Errorf("a report lacks %q", want)
		}
	}
	for _, want := range []string{
		"| 4 | 2 | 4.00k (4.00k-4.00k) | 4.00k (4.00k-4.00k) | 1.00 |",
		"| 3 | 3 | 4.00k (4.00k-4.00k) | 4.00k (4.00k-4.00k) | 4.00k (4.00k-4.00k) |",
		"(figures/brokers-3-replication-3-figure-4.svg)", "(figures/several-brokers.svg)",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report.md lacks %s", want)
		}
	}
}

// Each number of consumers has its own colour and marker, and its own place in the legend.
func TestManyLines(t *testing.T) {
	g := testGrid()
	g.Consumers = []int{1, 2, 3, 4, 5, 6}
	c := testReport(g).Figures(Setup{1, 1})[3].Chart
	markers, places := make(map[string]bool), make(map[string]bool)
	for _, s := range c.Series {
		markers[strings.TrimRight(s.marker(0, 0), "\n")] = true
	}
	svg := c.SVG("many")
	checkXML(t, svg)
	for _, text := range regexp.MustCompile(`<text x="(\d+)" y="(-?\d+)">\d consumers?<`).FindAllStringSubmatch(svg, -1) {
		places[text[1]+" "+text[2]] = true
	}
	if len(markers) != MaxColors || len(places) != 12 || !strings.HasPrefix(svg, `<svg viewBox="0 -34 360 322"`) {
		t.Errorf("%d markers, %d places in the legend, want 6 and 12, in\n%s", len(markers), len(places), svg)
	}
	for color := range MaxColors {
		if want := fmt.Sprintf(".c%d .dot", color); !strings.Contains(chartStyle, want) {
			t.Errorf("there is no colour %d", color)
		}
	}
}

func TestScale(t *testing.T) {
	for most, want := range map[float64][2]float64{0: {1, 1}, 7: {8, 2}, 100: {100, 20}, 1_010_000: {1_250_000, 250_000}, 1_900_000: {2_000_000, 500_000}, 2_150_000: {2_500_000, 500_000}} {
		c := Chart{Series: []Series{{Points: []Stat{{Max: most}}}}}
		if top, step := c.scale(); top != want[0] || step != want[1] {
			t.Errorf("up to %g: axis to %g in steps of %g, want %v", most, top, step, want)
		}
	}
}

// A chart draws each point where it belongs, with its spread, and leaves a gap where
// there is none.
func TestChart(t *testing.T) {
	c := Chart{X: "partitions", Y: "images/s", Ticks: []string{"1", "2", "4"}, Series: []Series{
		{Name: "a <b>", Points: []Stat{stat([]float64{25, 50, 100}), {}, stat([]float64{100})}},
	}}
	svg := c.SVG(`a "title"`)
	checkXML(t, svg)
	for what, want := range map[string]string{
		"its name":          `aria-label="a &#34;title&#34;"`,
		"the first point":   `<circle class="dot" cx="100.0" cy="153.0" r="3.8"/>`, // half way between 62 and 244
		"its spread":        `<line class="spread" x1="100.0" x2="100.0" y1="198.5" y2="62.0"/>`,
		"what it says":      `<title>a &lt;b&gt;, 1 partitions: 0.05k (0.03k-0.10k)</title>`,
		"the third point":   `<circle class="dot" cx="300.0" cy="62.0" r="3.8"/>`,
		"a line with a gap": `<path class="line" d="M100.0 153.0M300.0 62.0"/>`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s, %s, isn't in\n%s", what, want, svg)
		}
	}
	if strings.Contains(svg, "%!") {
		t.Errorf("a number is missing in\n%s", svg)
	}
	if got := strings.Count(svg, `class="dot"`); got != 2 {
		t.Errorf("%d points, want 2", got)
	}
}

// checkXML fails the test if a text isn't well formed.
func checkXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
}

func TestReports(t *testing.T) {
	r, dir := testReport(testGrid()), t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	page := readFile(t, dir+"/report.html")
	if got := strings.Count(page, "<svg"); got != 5 {
		t.Errorf("the page has %d charts, want the paper's four and one more", got)
	}
	if strings.Contains(page, "%!") {
		t.Error("a number is missing in the page")
	}
	for _, loads := range []string{"src=", "href=", "url(", "@import"} {
		if strings.Contains(page, loads) {
			t.Errorf("the page loads something: it has %s", loads)
		}
	}
	text := readFile(t, dir+"/report.md")
	for _, want := range []string{"26 of 26 runs, complete", testSettings.Machine, testSettings.Brokers, "Figure 7"} {
		if !strings.Contains(page, want) || !strings.Contains(text, want) {
			t.Errorf("a report lacks %q", want)
		}
	}
	if !strings.Contains(page, "engine-bench paper --out &lt;x&gt;") || strings.Contains(page, "partial\"") {
		t.Errorf("the page lacks the command, or is marked as partial")
	}
	if want := "| 4 | 2 | 4.00k | 4.00k | 1.00 |"; !strings.Contains(text, want) {
		t.Errorf("report.md lacks the row %s", want)
	}
	shown := regexp.MustCompile(`!\[.*\]\((.*)\)`).FindAllStringSubmatch(text, -1)
	if len(shown) != 5 {
		t.Errorf("report.md shows %d figures, want 5", len(shown))
	}
	for _, s := range shown {
		checkXML(t, readFile(t, filepath.Join(dir, s[1])))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A report says when the runs were made, not when it was written.
func TestWhen(t *testing.T) {
	at := time.Date(2026, 11, 30, 13, 16, 40, 0, time.UTC)
	row := func(rep int, at time.Time, failed string) Row {
		return Row{Run: Run{Cell{Setup{1, 1}, 1, Write, Nobody, 0}, rep}, At: at, Seconds: 120, Failed: failed}
	}
	for want, rows := range map[string][]Row{
		"not measured yet":                                  {row(1, at, "no broker")},
		"measured 2026-11-30 13:16 to 13:48 UTC":            {row(2, at.Add(30*time.Minute), ""), row(1, at, ""), row(1, at.Add(-time.Hour), "no broker"), row(3, at.Add(time.Hour), "")},
		"measured 2026-11-30 13:16 to 2026-12-01 01:18 UTC": {row(1, at, ""), row(2, at.Add(12*time.Hour), "")},
	} {
		g := testGrid()
		g.Repetitions = 2
		if got := (&Report{Summary: Summarise(g, rows)}).When(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is there of a grid that was stopped is reported, and marked.
func TestPartialReports(t *testing.T) {
	g := testGrid()
	failed := Row{Run: Run{Cell{Setup{1, 1}, 1, Read, Bare, 1}, 1}, Failed: "the disk of <broker> has no room"}
	written := Row{Run: Run{Cell{Setup{1, 1}, 1, Write, Nobody, 0}, 1}, Measured: Measured{Written: 5000}}
	r := &Report{Summary: Summarise(g, []Row{written, failed}), Settings: testSettings, Stopped: "run 2 failed"}
	var page, text, terminal bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	r.Markdown(&text)
	r.Text(&terminal)
	for name, out := range map[string]string{"page": page.String(), "markdown": text.String(), "terminal": terminal.String()} {
		for _, want := range []string{"Partial: 1 of 26 runs; stopped: run 2 failed", "5.00k", "not measured", "failed", tooLittle.Here, notMeasured.Here} {
			if !strings.Contains(out, want) {
				t.Errorf("the %s lacks %q", name, want)
			}
		}
	}
	if want := fmt.Sprintf("Failed: %s: the disk of &lt;broker&gt; has no room", failed.Cell); !strings.Contains(page.String(), want) {
		t.Errorf("the page lacks %q", want)
	}
}

// A figure without points has no chart; one with some isn't said to be without.
func TestFiguresInPart(t *testing.T) {
	first := func(c Cell) Row { return Row{Run: Run{c, 1}, Measured: Measured{Written: 5000, Read: 5000}} }
	one := Setup{1, 1}
	r := &Report{Settings: testSettings, Summary: Summarise(testGrid(), []Row{
		first(Cell{one, 1, Write, Nobody, 0}), first(Cell{one, 1, Read, Bare, 1}), first(Cell{one, 1, Recognise, Bare, 1}),
	})}
	for i, want := range []Finding{notMeasured, notMeasured, tooLittle, tooLittle, tooLittle} {
		if f := r.Figures(one)[i]; f.Finding != want {
			t.Errorf("%s: %q, want %q", f.Name, f.Finding, want)
		}
	}
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(dir, figuresDir))
	charts, shown := strings.Count(readFile(t, dir+"/report.html"), "<svg"), strings.Count(readFile(t, dir+"/report.md"), "![")
	if len(files) != 3 || charts != 3 || shown != 3 {
		t.Errorf("%d drawings (%v), %d charts in the page, %d in report.md; want 3 of each", len(files), err, charts, shown)
	}
}

// What was measured of some Kafkas isn't enough to set them beside each other.
func TestSeveralKafkasInPart(t *testing.T) {
	g := testGrid()
	g.Nodes = []int{1, 3}
	if f := Summarise(g, nil).Across(); f.Finding != notMeasured {
		t.Errorf("%q", f.Finding)
	}
	written := Row{Run: Run{Cell{Setup{1, 1}, 4, Write, Nobody, 0}, 1}, Measured: Measured{Written: 5000}}
	if f := Summarise(g, []Row{written}).Across(); f.Finding != tooLittle {
		t.Errorf("%q", f.Finding)
	}
}

// What an interrupt says already isn't said twice.
func TestState(t *testing.T) {
	for stopped, want := range map[string]string{
		"":                               "Partial: 3 of 26 runs",
		"interrupted after 3 of 26 runs": "Partial: interrupted after 3 of 26 runs",
		"run 4 of 26 (both): no broker":  "Partial: 3 of 26 runs; stopped: run 4 of 26 (both): no broker",
	} {
		if got := (&Report{Summary: &Summary{Done: 3, All: 26}, Stopped: stopped}).State(); got != want {
			t.Errorf("%q: %q, want %q", stopped, got, want)
		}
	}
}

// A cell's names in JSON are written as all others.
func TestCellJSON(t *testing.T) {
	const want = `{"nodes":3,"replication":2,"partitions":4,"scenario":"read","reader":"bare","consumers":1}`
	if got, err := json.Marshal(Cell{Setup{3, 2}, 4, Read, Bare, 1}); err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
