package cli

import (
	"fmt"
	"strings"
)

// Stage is how far a stage of tasks is.
type Stage struct {
	Name                 string
	Tasks, Done, Running int
}

// String returns the stage with a bar of 20 characters.
func (s Stage) String() string { return s.within(0) }

// counts returns the tasks done, running, and all, as Spark's console shows them.
func (s Stage) counts() string { return fmt.Sprintf("(%d + %d) / %d", s.Done, s.Running, s.Tasks) }

// Widths of a stage's bar with its brackets, in characters.
const (
	fullBar  = 22
	leastBar = 7
)

// within returns the stage in so many characters, 0 for as many as it takes: what is too
// much goes off the bar first, and off the name then.
func (s Stage) within(width int) string {
	name, bar := []rune(s.Name), fullBar
	if width > 0 {
		free := width - len(s.counts()) - 2 // two spaces
		bar = max(leastBar, min(fullBar, free-len(name)))
		if most := max(1, free-bar); len(name) > most {
			name = append(name[:most-1], '…')
		}
	}
	return fmt.Sprintf("%s %s %s", string(name), Bar(bar-2, float64(s.Done)/float64(max(s.Tasks, 1))), s.counts())
}

// StageBars returns a bar for each stage, all in a line of the given width, 0 for as
// much as it takes.
func StageBars(width int, stages []Stage) string {
	bars := make([]string, len(stages))
	for i, s := range stages {
		share := 0
		if width > 0 {
			share = max(1, (width+2)/len(stages)-2)
		}
		bars[i] = s.within(share)
	}
	return strings.Join(bars, "  ")
}
