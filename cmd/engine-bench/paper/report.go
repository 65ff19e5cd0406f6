package paper

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hibana-engine/hibana/engine/disk"
)

// Report is what is told of a grid.
type Report struct {
	*Summary
	Settings Settings
	Command  string // that repeats it
	Stopped  string // why runs are missing, if something went wrong
}

// figuresDir is where the drawings are that report.md shows, beside it.
const figuresDir = "figures"

// Write writes report.html, and report.md with its drawings, into a directory, each file
// whole or as it was.
func (r *Report) Write(dir string) error {
	var page, text bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	r.Markdown(&text)
	if err := os.MkdirAll(filepath.Join(dir, figuresDir), 0o755); err != nil {
		return err
	}
	var err error
	for _, p := range r.Parts() {
		for _, f := range p.Figures {
			if !f.Chart.empty() {
				err = errors.Join(err, WriteFile(filepath.Join(dir, f.path()), []byte(f.Chart.Image(f.Title))))
			}
		}
	}
	return errors.Join(err, WriteFile(filepath.Join(dir, "report.html"), page.Bytes()), WriteFile(filepath.Join(dir, "report.md"), text.Bytes()))
}

// path returns where a figure's drawing is, beside report.md.
func (f Figure) path() string { return figuresDir + "/" + f.File + ".svg" }

// WriteFile replaces a file by one that everybody may read: whole, or it stays as it was.
func WriteFile(path string, content []byte) error {
	err := disk.WriteFile(path, content)
	if err == nil {
		err = os.Chmod(path, 0o644) // a report is for others, too
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, disk.Explain(path, err))
	}
	return nil
}

// State says how much of the grid is measured.
func (r *Report) State() string {
	s := fmt.Sprintf("%d of %d runs", r.Done, r.All)
	if !r.Partial() {
		return s + ", complete"
	}
	switch {
	case r.Stopped == "":
		return "Partial: " + s
	case strings.Contains(r.Stopped, s): // "interrupted after 3 of 8 runs"
		return "Partial: " + r.Stopped
	}
	return "Partial: " + s + "; stopped: " + r.Stopped
}

// Method says how it was measured.
func (r *Report) Method() []string {
	g := r.Grid
	said := []string{
		fmt.Sprintf("A run takes %s images of 784 bytes, %s where they are recognised: %s of each cell, after %s to warm up. Bare clients and the engine take turns.",
			group(g.Images), group(g.Recognised), count(g.Repetitions, "repetition"), count(g.WarmUp, "repetition")),
		"The producer writes with acks=all, a linger of 10 ms and no compression.",
		"A bare consumer is a Kafka client with its share of the partitions; it recognises with the compiled network, in its goroutine.",
		"The engine reads with as many task slots as there are consumers (local[N]), and recognises with as many executor processes of one slot (local-cluster[N,1]).",
		"On a loaded topic the clock begins when all is started and connected; beside a producer it is the producer's.",
	}
	if slices.Max(g.Nodes) > 1 {
		said = append(said, "Several brokers share one machine and its disk if engine-bench starts them.")
	}
	return append(said,
		"Producer, brokers and consumers share this machine unless --brokers names another; the paper's stood on two.",
		`The paper's text states its findings in words and no numbers. What "strongly", "about" and "in proportion" are taken to mean stands with each verdict.`,
		"A finding holds in a case if the least that its runs can mean is enough, and doesn't if the most isn't; in between it is within the spread. The least is the least of one rate by the most of the other; where producer and consumers run together, it is the least ratio of any run.")
}

// group writes a number with its digits in groups of three.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Text prints the numbers and the findings for a terminal.
func (r *Report) Text(w io.Writer) {
	parts := r.Parts()
	for _, p := range parts {
		fmt.Fprintf(w, "%s\n", p.Heading)
		for _, f := range p.Figures {
			fmt.Fprintf(w, "\n  %s (%s)\n", f.Title, f.Chart.Y)
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, row := range append([][]string{f.Table.Head}, f.Table.Rows...) {
				fmt.Fprintf(t, "    %s\n", strings.Join(row, "\t"))
			}
			_ = t.Flush() // a terminal that is gone needs no table
		}
		fmt.Fprintln(w)
	}
	for _, p := range parts {
		fmt.Fprintf(w, "%s, what was found\n", p.Heading)
		for _, f := range p.Figures {
			fmt.Fprintf(w, "\n  %s: %s\n    the paper  %s\n    here       %s\n", f.Name, f.Title, f.Paper, f.Here)
			if f.Verdict != "" {
				fmt.Fprintf(w, "    verdict    %s\n", f.Verdict)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s\n%s\n", r.Spread(), r.State())
}

// Part is figures under a heading.
type Part struct {
	Heading string
	Figures []Figure
}

// Parts returns the report's figures: those of each Kafka, and over all where there are
// several.
func (r *Report) Parts() []Part {
	const heading = "The paper's figures, as we read its scenarios"
	setups, across := r.Grid.Setups(), r.Across()
	if across == nil {
		return []Part{{heading, r.Figures(setups[0])}}
	}
	parts := []Part{{"Several brokers", []Figure{*across}}}
	for _, k := range setups {
		figures := r.Figures(k)
		for i := range figures {
			figures[i].File = fmt.Sprintf("brokers-%d-replication-%d-%s", k.Nodes, k.Replication, figures[i].File)
		}
		parts = append(parts, Part{fmt.Sprintf("%s: %s", heading, k), figures})
	}
	return parts
}

// Spread says what the figures' points and bars are.
func (r *Report) Spread() string {
	if r.Grid.Repetitions == 1 {
		return "Each point is of one run: it has no spread, and a verdict is a first guess."
	}
	return "Points are medians; bars, and what stands in brackets, go from the least to the most."
}

// about says in a sentence what was measured.
const about = "A paper's measurement of MNIST images through Kafka, repeated: a producer, consumers and both, over partitions and consumers, with bare Kafka clients and with the engine."

// Markdown writes the report; its drawings are files beside it.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# Images through Kafka\n\n%s\n\n**%s**\n\n- %s\n- %s\n- %s\n\n    %s\n\n%s Solid lines are bare Kafka clients, dashed ones the engine.\n",
		about, r.State(), r.Settings.Machine, r.Settings.Brokers, r.When(), r.Command, r.Spread())
	for _, p := range r.Parts() {
		fmt.Fprintf(w, "\n## %s\n", p.Heading)
		for _, f := range p.Figures {
			f.markdown(w)
		}
	}
	for _, c := range r.Cells {
		if c.Failed != "" {
			fmt.Fprintf(w, "\nFailed: %s: %s\n", c.Cell, c.Failed)
		}
	}
	fmt.Fprint(w, "\n## How it was measured\n\n")
	for _, s := range r.Method() {
		fmt.Fprintf(w, "- %s\n", s)
	}
}

// markdown writes a figure.
func (f Figure) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n*%s*\n\n", f.Title, f.Name)
	if !f.Chart.empty() {
		fmt.Fprintf(w, "![%s](%s)\n\n", f.Title, f.path())
	}
	fmt.Fprintf(w, "- The paper: %s\n- Here: %s\n", f.Paper, f.Here)
	if f.Verdict != "" {
		fmt.Fprintf(w, "- Verdict: %s\n", f.Verdict)
	}
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(f.Table.Head, " | "), strings.Repeat("---|", len(f.Table.Head)))
	for _, row := range f.Table.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// When says when the runs were measured.
func (r *Report) When() string {
	const day, minute = "2006-01-02", "15:04"
	first, last := r.First.UTC(), r.Last.UTC()
	switch {
	case first.IsZero():
		return "not measured yet"
	case first.Format(day) == last.Format(day):
		return fmt.Sprintf("measured %s to %s UTC", first.Format(day+" "+minute), last.Format(minute))
	}
	return fmt.Sprintf("measured %s to %s UTC", first.Format(day+" "+minute), last.Format(day+" "+minute))
}

// draw returns a figure's chart for the page, "" without points.
func draw(f Figure) template.HTML {
	if f.Chart.empty() {
		return ""
	}
	return template.HTML(f.Chart.SVG(f.Title)) // SVG escapes its texts
}

//go:embed report.html
var page string

// HTML writes the report as one page that loads nothing.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"draw":   draw,
		"colors": func() template.CSS { return template.CSS(chartStyle) },
		"about":  func() string { return about },
		"whole":  func(s string) string { return strings.ReplaceAll(s, "-", "-\u2060") }, // no line ends within a range
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
