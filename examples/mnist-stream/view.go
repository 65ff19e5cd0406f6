package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/hibana-engine/hibana/engine"
)

// view shows batches as they complete.
type view interface {
	batch(b engine.BatchInfo, cameras map[string]*tally)
	end()
}

// newView returns a live view on a terminal, else a log line for each batch.
func newView(f *os.File, log *slog.Logger) view {
	if term.IsTerminal(int(f.Fd())) {
		return &liveView{w: f}
	}
	return logView{log}
}

// logView logs a line for each batch.
type logView struct{ log *slog.Logger }

func (v logView) batch(b engine.BatchInfo, cameras map[string]*tally) {
	v.log.Info("batch", "seq", b.Seq, "records", b.Records, "images_per_second", int64(rate(b)),
		"scheduling_delay", b.SchedulingDelay.Round(10*time.Microsecond), "processing_time", b.ProcessingTime.Round(10*time.Microsecond),
		"bad", b.Metrics.BadRecords, "accuracy", fmt.Sprintf("%.4f", overall(cameras)))
}

func (logView) end() {}

// rate returns the images per second at which a batch was processed.
func rate(b engine.BatchInfo) float64 {
	if b.ProcessingTime <= 0 {
		return 0
	}
	return float64(b.Records) / b.ProcessingTime.Seconds()
}

// overall returns the accuracy over all cameras.
func overall(cameras map[string]*tally) float64 {
	var all tally
	for _, t := range cameras {
		all.images += t.images
		all.correct += t.correct
	}
	return all.accuracy()
}

func (t *tally) accuracy() float64 {
	if t.images == 0 {
		return 0
	}
	return float64(t.correct) / float64(t.images)
}

// liveView redraws a few lines in place.
type liveView struct {
	w       io.Writer
	lines   int       // drawn last
	history []float64 // records of the last batches
	total   int64
}

// historyLen is the width of the sparkline.
const historyLen = 60

func (v *liveView) batch(b engine.BatchInfo, cameras map[string]*tally) {
	v.total += b.Records
	v.history = append(v.history, float64(b.Records))
	v.history = v.history[max(0, len(v.history)-historyLen):]
	var out []byte
	if v.lines > 0 {
		out = fmt.Appendf(out, "\x1b[%dA", v.lines)
	}
	line := func(format string, args ...any) {
		out = fmt.Appendf(out, "\x1b[2K"+format+"\n", args...)
	}
	line("\x1b[1mbatch %d\x1b[0m at %s   %d images so far, %d waiting", b.Seq, b.Time.Format("15:04:05.000"), v.total, b.Backlog)
	line("  %6d images   %8.0f images/s   scheduling delay %8s   processing %8s", b.Records, rate(b),
		b.SchedulingDelay.Round(10*time.Microsecond), b.ProcessingTime.Round(10*time.Microsecond))
	line("  images a batch %s", sparkline(v.history))
	n := 3
	for _, name := range slices.Sorted(maps.Keys(cameras)) {
		t := cameras[name]
		line("  %-12s %8d images   accuracy \x1b[32m%6.2f %%\x1b[0m", name, t.images, 100*t.accuracy())
		n++
	}
	v.lines = n
	_, _ = v.w.Write(out) // a terminal that is gone is no reason to stop
}

func (v *liveView) end() {}

// sparkline draws values as bars of one character.
func sparkline(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	top := slices.Max(values)
	out := make([]rune, len(values))
	for i, v := range values {
		if top > 0 {
			out[i] = bars[min(len(bars)-1, int(v/top*float64(len(bars)-1)+0.5))]
		} else {
			out[i] = bars[0]
		}
	}
	return string(out)
}
