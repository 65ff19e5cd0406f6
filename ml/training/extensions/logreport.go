package extensions

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

// LogReporter keeps the means of what was observed and writes them to a file.
type LogReporter struct {
	// File is the name of the JSON file in the output directory; "" writes
	// none.
	File string
	// Every is how often the means are taken (default every epoch).
	Every training.Trigger

	journal journal
}

// LogReport logs the means of every epoch to the file "log", a JSON list.
func LogReport() *LogReporter { return &LogReporter{File: "log", Every: training.Epochs(1)} }

// Name is "LogReport".
func (l *LogReporter) Name() string { return "LogReport" }

// Trigger is every iteration: it collects all observations.
func (l *LogReporter) Trigger() training.Trigger { return training.Iterations(1) }

// Priority is a reader's.
func (l *LogReporter) Priority() int { return training.PriorityReader }

// Records gives what was logged so far.
func (l *LogReporter) Records() []Record { return l.journal.records }

// Run takes the iteration in.
func (l *LogReporter) Run(_ context.Context, t *training.Trainer) error {
	l.journal.every = l.Every
	if !l.journal.add(t) || l.File == "" {
		return nil
	}
	text, err := encode(l.journal.records, "  ")
	if err != nil {
		return err
	}
	return writeFile(t, l.File, append(text, '\n'))
}

// Serialize visits the log.
func (l *LogReporter) Serialize(s *serializers.Serializer) {
	l.journal.every = l.Every
	l.journal.Serialize(s)
}

// Printer prints the lines of a LogReport as a table.
type Printer struct {
	// Entries are the columns; empty means all.
	Entries []string
	// Out is where the table goes (default os.Stdout).
	Out io.Writer

	printed int
	headed  bool
}

// PrintReport prints each record of the trainer's LogReport: "epoch",
// "iteration", "main/loss" and so on; no entries means all.
func PrintReport(entries ...string) *Printer { return &Printer{Entries: entries, Out: os.Stdout} }

// Name is "PrintReport".
func (p *Printer) Name() string { return "PrintReport" }

// Trigger is every iteration: it prints when there is something new.
func (p *Printer) Trigger() training.Trigger { return training.Iterations(1) }

// Priority runs it after LogReport.
func (p *Printer) Priority() int { return training.PriorityReader - 10 }

// Start checks that there is a log to print.
func (p *Printer) Start(t *training.Trainer) error {
	l, err := logOf(t)
	if err != nil {
		return err
	}
	p.printed = len(l.Records())
	return nil
}

func logOf(t *training.Trainer) (*LogReporter, error) {
	if l, ok := t.Extension("LogReport").(*LogReporter); ok {
		return l, nil
	}
	return nil, fmt.Errorf("there is no LogReport to print: extend the trainer with extensions.LogReport()")
}

// Run prints new records.
func (p *Printer) Run(_ context.Context, t *training.Trainer) error {
	l, err := logOf(t)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	for _, r := range l.Records()[min(p.printed, len(l.Records())):] {
		if len(p.Entries) == 0 {
			p.Entries = columns(r)
		}
		if !p.headed {
			p.headed = true
			p.header(&table)
		}
		p.row(&table, r)
		p.printed++
	}
	if table.Len() == 0 {
		return nil
	}
	if isTerminal(p.Out) {
		table = *bytes.NewBufferString(clearLine + table.String())
	}
	_, err = p.Out.Write(table.Bytes())
	return err
}

// columns puts a record's names in the order of a table.
func columns(r Record) []string {
	middle := slices.DeleteFunc(slices.Sorted(maps.Keys(r)), func(name string) bool {
		return name == "epoch" || name == "iteration" || name == "elapsed_time"
	})
	return slices.Concat([]string{"epoch", "iteration"}, middle, []string{"elapsed_time"})
}

func (p *Printer) header(to *bytes.Buffer) {
	for i, name := range p.Entries {
		p.cell(to, i, name, name)
	}
	to.WriteByte('\n')
}

func (p *Printer) row(to *bytes.Buffer, r Record) {
	for i, name := range p.Entries {
		text := ""
		if v, ok := r[name]; ok && v == math.Trunc(v) && math.Abs(v) < 1e9 {
			text = fmt.Sprintf("%d", int64(v))
		} else if ok {
			text = fmt.Sprintf("%.6g", v)
		}
		p.cell(to, i, name, text)
	}
	to.WriteByte('\n')
}

func (p *Printer) cell(to *bytes.Buffer, i int, name, text string) {
	if i > 0 {
		to.WriteString("  ")
	}
	to.WriteString(text)
	if i < len(p.Entries)-1 {
		to.WriteString(strings.Repeat(" ", max(len(name), 10)-min(len(text), max(len(name), 10))))
	}
}
