package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
)

// plainInterval is the time between two lines off a terminal while nothing but
// the numbers change.
const plainInterval = 5 * time.Second

// display shows how a job does: in one line that changes on a terminal, in lines
// now and then elsewhere.
type display struct {
	p    *process
	line *cli.StatusLine
	now  func() time.Time

	last    *wire.JobStatus
	reason  string           // the last one said why a driver process was replaced
	shown   *wire.JobStatus  // in the last plain line
	printed time.Time        // when that was
	records map[uint64]int64 // of each driver process that was seen, by epoch
}

func newDisplay(p *process, line *cli.StatusLine) *display {
	return &display{p: p, line: line, now: time.Now, records: make(map[uint64]int64)}
}

// uploading shows how much of a program is sent.
func (d *display) uploading(name string, sent, total int64) {
	share := float64(sent) / float64(max(total, 1))
	d.line.Set(fmt.Sprintf("uploading %s %s %3.0f %%  %s of %s", name, cli.Bar(30, share), 100*share, size(sent), size(total)))
}

// update takes in what is new of the job.
func (d *display) update(st *wire.JobStatus) {
	before := d.last
	d.last = st
	if st.Epoch != 0 { // 0 is before the first driver process
		d.records[st.Epoch] = max(d.records[st.Epoch], st.Progress.Records)
	}
	if before != nil && before.Epoch != 0 && st.Epoch != before.Epoch && !st.State.Final() {
		why := ""
		if r := firstLine(st.Reason); r != d.reason {
			why, d.reason = ": "+r, r
		}
		d.p.say("job %d goes on with a new driver process, on %s (epoch %d)%s", st.Spec.Incarnation, st.Node, st.Epoch, why)
	}
	text := d.describe(st)
	d.line.Set(text)
	if d.line.Terminal() || st.State.Final() {
		return
	}
	was := d.shown
	news := was == nil || was.State != st.State || trouble(was) != trouble(st)
	moved := was == nil || was.LastBatch != st.LastBatch || st.Progress.Program != nil
	if !news && (!moved || d.now().Sub(d.printed) < plainInterval) {
		return
	}
	d.shown = st
	d.printed = d.now()
	d.p.say("%s", text)
}

// trouble returns what is wrong with a job without the numbers in it, which change from
// one moment to the next.
func trouble(st *wire.JobStatus) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, st.Trouble)
}

// describe returns a line about a job that runs.
func (d *display) describe(st *wire.JobStatus) string {
	parts := []string{fmt.Sprintf("job %d %s", st.Spec.Incarnation, st.State)}
	if st.Node != "" {
		parts[0] += " on " + st.Node
	}
	if st.LastBatch > 0 {
		parts = append(parts, fmt.Sprintf("batch %d", st.LastBatch))
	}
	if p := st.Progress.Program; p != nil {
		step, width := programStep(p), 0
		if room := d.line.Room(); room > 0 && len(p.Stages) > 0 {
			step = fmt.Sprint(p.Step) // the bars say where it is
			width = max(1, room-len(parts[0]+"  step "+step+"  "))
		}
		if parts = append(parts, "step "+step); len(p.Stages) > 0 {
			parts = append(parts, cli.StageBars(width, stages(p)))
		}
	}
	if p := st.Progress; p.Batches > 0 {
		parts = append(parts, thousands(d.total())+" records", thousands(int64(p.RecordsPerSec))+" records/s",
			"delay "+millis(p.SchedulingMS), "ran "+millis(p.ProcessingMS))
		if p.Waiting > 0 {
			parts = append(parts, fmt.Sprintf("%d waiting", p.Waiting))
		}
	}
	if st.Trouble != "" {
		parts = append(parts, firstLine(st.Trouble))
	}
	// A job that runs again still has the reason for which it once didn't.
	if st.Reason != "" && st.Crashes > 0 {
		parts = append(parts, firstLine(st.Reason))
	}
	return strings.Join(parts, "  ")
}

// total returns how many records were seen to be done, by all driver processes.
func (d *display) total() (n int64) {
	for _, r := range d.records {
		n += r
	}
	return n
}

// summary returns what became of a job, in a line.
func (d *display) summary(st *wire.JobStatus) string {
	s := fmt.Sprintf("job %d %s after %s", st.Spec.Incarnation, st.State, age(st, d.now()))
	switch {
	case st.Progress.Program != nil:
		return s + ": " + programTotal(st)
	case st.Kind == wire.KindBatch: // the engine-driver that knew what it did leads no more
		return s
	}
	s += fmt.Sprintf(": %d batches", st.LastBatch)
	if n := d.total(); n > 0 {
		// What a driver process did in its last second before it died isn't known.
		s += ", " + strings.Repeat("at least ", min(1, len(d.records)-1)) + thousands(n) + " records"
	}
	return s
}
