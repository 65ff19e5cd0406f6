package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// compareResult is what compare measured.
type compareResult struct {
	Workload string       `json:"workload"`
	Machine  string       `json:"machine"`
	Brokers  string       `json:"brokers"`
	Records  int64        `json:"records"` // of count and wordcount
	Rounds   int          `json:"rounds"`  // wanted
	Rows     []compareRow `json:"rows"`
	Missing  []string     `json:"missing,omitempty"` // what wasn't measured, and why
	Partial  string       `json:"partial,omitempty"` // why there is less than was wanted
}

// compareRow is a figure of the engine beside that of another system, round for round.
type compareRow struct {
	Name   string `json:"name"`
	Work   string `json:"work"`
	Figure string `json:"figure"`
	System string `json:"system"`
	Engine spread `json:"engine"`
	Theirs spread `json:"theirs"`
	Ratio  spread `json:"ratio"` // the engine's by theirs
}

// add takes in a round of the engine and of another system.
func (r *compareResult) add(o *contest, system string, engine, theirs []float64) {
	for i, figure := range o.figures {
		name := strings.Join([]string{o.work, figure, system}, ", ")
		at := slices.IndexFunc(r.Rows, func(row compareRow) bool { return row.Name == name })
		if at < 0 {
			at = len(r.Rows)
			r.Rows = append(r.Rows, compareRow{Name: name, Work: o.work, Figure: figure, System: system})
		}
		row := &r.Rows[at]
		row.Engine.add(engine[i])
		row.Theirs.add(theirs[i])
		row.Ratio.add(engine[i] / theirs[i])
	}
}

// missRest notes what has no round at all when the runs end early.
func (r *compareResult) missRest(contests []contest) {
	for _, o := range contests {
		var names []string
		for _, s := range o.systems[1:] {
			if !slices.ContainsFunc(r.Rows, func(row compareRow) bool { return row.Work == o.work && row.System == s.name }) {
				names = append(names, s.name)
			}
		}
		if names != nil {
			r.Missing = append(r.Missing, fmt.Sprintf("%s beside %s: the runs ended before", o.work, strings.Join(names, ", ")))
		}
	}
}

func (r *compareResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *compareResult) print(w io.Writer) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL, less than was wanted: %s\n\n", r.Partial)
	}
	io.WriteString(w, r.table())
}

// measured reports whether there is a row of one of the works, and of one of the systems if
// any are named.
func (r *compareResult) measured(isOf func(work string) bool, systems ...string) bool {
	return slices.ContainsFunc(r.Rows, func(row compareRow) bool {
		return isOf(row.Work) && (systems == nil || slices.Contains(systems, row.System))
	})
}

// isDrain reports whether a contest's work reads a full topic; else it copies.
func isDrain(work string) bool { return work == workCount || work == workWordCount }

// notes says what the table's reader has to know of what is in it.
func (r *compareResult) notes() string {
	var said []string
	if r.measured(isDrain) {
		said = append(said, r.drainNotes())
	}
	if isCopy := func(work string) bool { return !isDrain(work) }; r.measured(isCopy) {
		said = append(said, r.copyNotes(isCopy))
	}
	return strings.Join(said, " ")
}

func (r *compareResult) drainNotes() string {
	var works []string
	for _, work := range []string{workCount, workWordCount} {
		if r.measured(func(w string) bool { return w == work }) {
			works = append(works, "`"+work+"`")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "In %s each system reads %d lines of a topic twice in one process, and the second time counts: its clock runs from the start of the stream until all is counted",
		strings.Join(works, " and "), r.Records)
	if r.measured(isDrain, sparkStreaming, kafkaStreams) {
		b.WriteString(", on a JVM that has warmed up")
	}
	b.WriteString(". The engine's interval is 20 ms")
	if r.measured(isDrain, sparkStreaming) {
		b.WriteString(", Spark's 200 ms")
	}
	b.WriteString("; the loop shares the engine's process.")
	return b.String()
}

func (r *compareResult) copyNotes(isCopy func(work string) bool) string {
	var b strings.Builder
	b.WriteString("In `copy` all run for a while before what counts")
	if r.measured(isCopy, sparkRealtime, kafkaStreams) {
		b.WriteString(", on the JVM for 30 s at least")
	}
	b.WriteString(", each in a process of its own; ")
	if r.measured(isCopy, sparkRealtime) {
		b.WriteString("Spark runs at local[8], as it demands a slot for each partition, encodes values in base64 and keeps its offsets on disk; ")
	}
	b.WriteString("the engine runs at local[2] with its log in memory.")
	return b.String()
}

// table is what was measured, in Markdown, and what wasn't.
func (r *compareResult) table() string {
	var b strings.Builder
	rounds := fmt.Sprintf("medians of %d rounds in turn, with the least and the most", r.Rounds)
	if r.Rounds == 1 {
		rounds = "one round, which has no spread"
	}
	fmt.Fprintf(&b, "%s; %s; %s.", r.Machine, r.Brokers, rounds)
	if notes := r.notes(); notes != "" {
		b.WriteString(" " + notes)
	}
	b.WriteString("\n\n| Work | Figure | Hibana | Beside it | Theirs | Hibana's by theirs |\n|---|---|---|---|---|---|\n")
	first := make(map[[2]string]int) // row of a figure, where the figure's others go
	for i, row := range slices.Backward(r.Rows) {
		first[[2]string{row.Work, row.Figure}] = i
	}
	rows := slices.SortedStableFunc(slices.Values(r.Rows), func(a, b compareRow) int {
		return cmp.Compare(first[[2]string{a.Work, a.Figure}], first[[2]string{b.Work, b.Figure}])
	})
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", row.Work, row.Figure, row.text(row.Engine), row.beside(r.Rounds), row.text(row.Theirs), row.Ratio)
	}
	for i, m := range r.Missing {
		if i == 0 {
			b.WriteString("\n")
		}
		first, _, _ := strings.Cut(m, "\n") // what a program said follows
		fmt.Fprintf(&b, "- not measured: %s\n", first)
	}
	return b.String()
}

// beside names the other system, with its rounds where they are fewer than was wanted.
func (row *compareRow) beside(wanted int) string {
	if n := len(row.Theirs.Rounds); n < wanted {
		return fmt.Sprintf("%s (rounds: %d)", row.System, n)
	}
	return row.System
}

// text writes a figure's median, with the least and the most.
func (row *compareRow) text(s spread) string {
	return s.text(func(v float64) string { return figureText(row.Figure, v) })
}

// figureText writes a figure: rates in thousands or millions.
func figureText(figure string, v float64) string {
	if figure == figureRate {
		return paper.Thousands(v)
	}
	return fmt.Sprintf("%.1f", v)
}

// Markers around the table in a file.
const (
	markerBegin = "<!-- engine-bench compare writes this -->"
	markerEnd   = "<!-- to here -->"
)

var errMarkers = errors.New("the table goes between two lines, each of which must be there once, in this order")

// writeTo puts the table into a file, which is whole or as it was.
func (r *compareResult) writeTo(path string) error {
	text, err := betweenMarkers(path, r.table())
	if err != nil {
		return err
	}
	return paper.WriteFile(path, []byte(text))
}

// betweenMarkers returns a file's text with what is between the markers replaced.
func betweenMarkers(path, text string) (string, error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	before, rest, begins := strings.Cut(string(old), markerBegin+"\n")
	_, after, ends := strings.Cut(rest, markerEnd+"\n")
	if !begins || !ends || strings.Contains(after, markerBegin) || strings.Contains(before, markerEnd) {
		return "", fmt.Errorf("%s: %w: %s and %s", path, errMarkers, markerBegin, markerEnd)
	}
	return before + markerBegin + "\n" + text + markerEnd + "\n" + after, nil
}
