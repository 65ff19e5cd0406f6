package main

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
)

// programParts returns what a line about a batch program that runs says of it.
func programParts(p *wire.ProgramProgress) []string {
	parts := []string{fmt.Sprintf("step %d", p.Step)}
	if p.At != "" {
		parts[0] += ", " + p.At
	}
	for _, s := range p.Stages {
		parts = append(parts, fmt.Sprintf("%s %s", s.Name, stageBar(s)))
	}
	return parts
}

// stageBar returns how far a stage is: tasks done, running, and all.
func stageBar(s wire.StageProgress) string {
	return fmt.Sprintf("%s (%d + %d) / %d", cli.Bar(20, float64(s.Done)/float64(max(s.Tasks, 1))), s.Done, s.Running, s.Tasks)
}

// programTotal returns what a batch program has done so far.
func programTotal(p *wire.ProgramProgress) string {
	text := fmt.Sprintf("%d steps, %d tasks", p.Step, p.Tasks)
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d attempts failed", p.Failed)
	}
	return text
}

// describeProgram writes all that is known of a batch program. When it has ended the
// cluster keeps nothing of that.
func describeProgram(st *wire.JobStatus, line func(name, format string, args ...any)) {
	p := st.Progress.Program
	line("step", "%s", strings.TrimPrefix(programParts(p)[0], "step "))
	for _, s := range p.Stages {
		line("stage", "%s %s", s.Name, stageBar(s))
	}
	line("this driver", "%s, %s records read", programTotal(p), thousands(st.Progress.Records))
}

// progressColumns returns what a list says of a job's progress.
func progressColumns(st *wire.JobStatus) (batches, pending string) {
	if p := st.Progress.Program; p != nil {
		return fmt.Sprintf("step %d", p.Step), "-"
	}
	return fmt.Sprint(st.LastBatch), fmt.Sprint(st.Pending)
}
