package extensions

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/hibana-engine/hibana/ml/training"
)

// clearLine takes back what a progress bar drew.
const clearLine = "\r\x1b[K"

// Progress draws how far a training is on the last line of a terminal.
type Progress struct {
	// Out is the terminal (default os.Stderr). Nothing is drawn on anything
	// else.
	Out io.Writer
	// Interval is the shortest time between two drawings (default 100 ms).
	Interval time.Duration

	drawn     time.Time
	began     time.Time
	beganAt   int
	beganPart float64
}

// ProgressBar draws a progress bar where there is a terminal.
func ProgressBar() *Progress { return &Progress{Out: os.Stderr, Interval: 100 * time.Millisecond} }

// Name is "ProgressBar".
func (p *Progress) Name() string { return "ProgressBar" }

// Trigger is every iteration.
func (p *Progress) Trigger() training.Trigger { return training.Iterations(1) }

// Priority runs it last among the readers.
func (p *Progress) Priority() int { return training.PriorityReader - 20 }

// Start notes when the run began.
func (p *Progress) Start(t *training.Trainer) error {
	p.began, p.beganAt = time.Now(), t.Updater().Iteration()
	if p.beganPart, _ = t.Progress(); p.beganPart == 1 { // another period begins
		p.beganPart = 0
	}
	return nil
}

// Run draws, if it is time to.
func (p *Progress) Run(_ context.Context, t *training.Trainer) error {
	now := time.Now()
	if !isTerminal(p.Out) || now.Sub(p.drawn) < p.Interval {
		return nil
	}
	p.drawn = now
	_, err := io.WriteString(p.Out, clearLine+p.line(t, now))
	return err
}

// Finish takes the bar away.
func (p *Progress) Finish(*training.Trainer, error) error {
	if !isTerminal(p.Out) {
		return nil
	}
	_, err := io.WriteString(p.Out, clearLine)
	return err
}

// line is the text of the bar.
func (p *Progress) line(t *training.Trainer, now time.Time) string {
	const width = 30
	u := t.Updater()
	passed := now.Sub(p.began).Seconds()
	rate := float64(u.Iteration()-p.beganAt) / max(passed, 1e-9)
	text := fmt.Sprintf("epoch %.2f, iteration %d, %.1f/s", u.EpochDetail(), u.Iteration(), rate)
	done, known := t.Progress()
	if !known {
		return text
	}
	full := int(done * width)
	bar := "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
	text = fmt.Sprintf("%s %5.1f%%  %s", bar, 100*done, text)
	if done > p.beganPart {
		left := time.Duration(passed * (1 - done) / (done - p.beganPart) * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
