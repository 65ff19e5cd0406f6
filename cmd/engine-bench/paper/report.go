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
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hibana-engine/hibana/engine/disk"
)

// Report is what is told of a grid.
type Report struct {
	*Summary
	Settings Settings
	Command  string // that repeats it
	Stopped  string // why runs are missing, if something went wrong
	Made     time.Time
}

// Write writes report.html and report.md into a directory, each whole or as it was.
func (r *Report) Write(dir string) error {
	var page, text bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	r.Markdown(&text)
	return errors.Join(r.write(dir, "report.html", page.Bytes()), r.write(dir, "report.md", text.Bytes()))
}

func (r *Report) write(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
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
	s = "Partial: " + s
	if r.Stopped != "" {
		s += "; stopped: " + r.Stopped
	}
	return s
}

// Method says how it was measured.
func (r *Report) Method() string {
	g := r.Grid
	return fmt.Sprintf("%s images of 784 bytes a run (%s where they are recognised), %s of each cell after %s. %s "+
		"The producer writes with acks=all, a linger of 10 ms and no compression. A bare consumer is a Kafka client with its share of the partitions, "+
		"and recognises with the compiled network in its goroutine. The engine reads with as many task slots as there are consumers (local[N]), "+
		"and recognises with as many executor processes of one slot (local-cluster[N,1]). The clock begins when all is started and connected. "+
		"Where several brokers are measured, they share this machine, its disk too. Producer, brokers and consumers share this machine unless --brokers names another; the paper's stood on two.",
		group(g.Images), group(g.Recognised), count(g.Repetitions, "repetition"), count(g.WarmUp, "repetition")+" that don't count", r.Spread())
}

// group writes a number with its digits in groups of three.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// head and rows of the table of all cells.
var tableHead = [...]string{"scenario", "brokers", "replication", "partitions", "consumers", "reader", "producer images/s", "consumers images/s", "engine / bare"}

// Row is a line of the table of all cells.
func (r *Report) rows() [][]string {
	beside := make(map[Cell]string)
	for _, b := range r.EngineBeside() {
		beside[b.Cell] = fmt.Sprintf("%.2f", b.Ratio)
	}
	var all [][]string
	for _, scenario := range []Scenario{Both, Write, Read, Recognise} {
		for _, c := range r.Cells {
			if c.Cell.Scenario == scenario {
				all = append(all, c.row(beside[c.Cell]))
			}
		}
	}
	return all
}

// row returns a cell's line of the table.
func (c CellSummary) row(beside string) []string {
	consumers, reader := fmt.Sprint(c.Cell.Consumers), string(c.Cell.Reader)
	if c.Cell.Reader == Nobody {
		consumers, reader = "", ""
	}
	produced, consumed := c.Producer.String(), c.Consumers.String()
	if produced+consumed == "" {
		consumed = "not measured"
		if c.Failed != "" {
			consumed = "failed"
		}
	}
	return []string{string(c.Cell.Scenario), fmt.Sprint(c.Cell.Nodes), fmt.Sprint(c.Cell.Replication), fmt.Sprint(c.Cell.Partitions), consumers, reader, produced, consumed, beside}
}

// Text prints the table and the findings for a terminal.
func (r *Report) Text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(tableHead[:], "\t"))
	for _, row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // a terminal that is gone needs no table
	for _, p := range r.Parts() {
		fmt.Fprintln(w, p.Heading)
		for _, f := range p.Figures {
			fmt.Fprintf(w, "  %s: %s\n    the paper: %s\n    here: %s\n", f.Name, f.Title, f.Paper, f.Here)
		}
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
	const heading = "The paper's figures, by the scenarios as we read it"
	setups, across := r.Grid.Setups(), r.Across()
	if across == nil {
		return []Part{{heading, r.Figures(setups[0])}}
	}
	parts := []Part{{"Several brokers", []Figure{*across}}}
	for _, k := range setups {
		parts = append(parts, Part{fmt.Sprintf("%s: %s", heading, k), r.Figures(k)})
	}
	return parts
}

// Spread says what the figures' points and bars are.
func (r *Report) Spread() string {
	if r.Grid.Repetitions == 1 {
		return "Points are of one run: they have no spread, and a verdict is a first guess."
	}
	return "Lines are medians, bars the least and the most."
}

// Markdown writes the report without its drawings.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# Images through Kafka\n\n%s\n\n- %s\n- %s\n- %s\n\n    %s\n\n%s\n",
		r.State(), r.Settings.Machine, r.Settings.Brokers, r.Made.UTC().Format("2006-01-02 15:04 UTC"), r.Command, r.Method())
	for _, p := range r.Parts() {
		fmt.Fprintf(w, "\n## %s\n\n| Figure | The paper | Here |\n|---|---|---|\n", p.Heading)
		for _, f := range p.Figures {
			fmt.Fprintf(w, "| %s: %s | %s | %s |\n", f.Name, f.Title, f.Paper, f.Here)
		}
	}
	fmt.Fprintf(w, "\n## All cells\n\n| %s |\n|%s\n", strings.Join(tableHead[:], " | "), strings.Repeat("---|", len(tableHead)))
	for _, row := range r.rows() {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	for _, c := range r.Cells {
		if c.Failed != "" {
			fmt.Fprintf(w, "\nFailed: %s: %s\n", c.Cell, c.Failed)
		}
	}
}

//go:embed report.html
var page string

// HTML writes the report as one page that loads nothing.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"draw": func(f Figure) template.HTML { return template.HTML(f.Chart.SVG(f.Name + ": " + f.Title)) }, // SVG escapes its texts
		"made": func() string { return r.Made.UTC().Format("2006-01-02 15:04 UTC") },
		"head": func() []string { return tableHead[:] },
		"rows": r.rows,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
