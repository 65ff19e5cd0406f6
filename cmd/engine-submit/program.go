package main

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
)

// programStep returns the step of a batch program that runs, and where it is.
func programStep(p *wire.ProgramProgress) string {
	if p.At == "" {
		return fmt.Sprint(p.Step)
	}
	return fmt.Sprintf("%d, %s", p.Step, p.At)
}

// stages returns the stages that run.
func stages(p *wire.ProgramProgress) []cli.Stage {
	all := make([]cli.Stage, len(p.Stages))
	for i, s := range p.Stages {
		all[i] = cli.Stage(s)
	}
	return all
}

// programTotal returns what a batch program has done so far.
func programTotal(st *wire.JobStatus) string {
	p := st.Progress.Program
	text := fmt.Sprintf("%d steps, %d tasks in %d stages of %d actions", p.Step, p.Tasks, p.StagesRun, p.Actions)
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d attempts failed", p.Failed)
	}
	text += fmt.Sprintf(", %s records read", thousands(st.Progress.Records))
	if p.Bad > 0 {
		text += fmt.Sprintf(", %s bad ones left out", thousands(p.Bad))
	}
	return text + fmt.Sprintf(", %s shuffled", size(p.Shuffled))
}

// describeProgram writes all that is known of a batch program. Of one that has ended
// that is what its last driver process did, as long as the same engine-driver leads.
func describeProgram(st *wire.JobStatus, line func(name, format string, args ...any)) {
	p := st.Progress.Program
	if !st.State.Final() {
		line("step", "%s", programStep(p))
		for _, s := range stages(p) {
			line("stage", "%s", s)
		}
	}
	line("this driver", "%s", programTotal(st))
}

// progressColumns returns what a list says of a job's progress.
func progressColumns(st *wire.JobStatus) (batches, pending string) {
	switch p := st.Progress.Program; {
	case p != nil:
		return fmt.Sprintf("step %d", p.Step), "-"
	case st.Kind == wire.KindBatch:
		return "-", "-"
	}
	return fmt.Sprint(st.LastBatch), fmt.Sprint(st.Pending)
}
