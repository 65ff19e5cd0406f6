package paper

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Stat is a rate over the repetitions.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`

	Rounds []float64 `json:"rounds"` // all of them, ascending
}

// stat returns the statistics of rates.
func stat(v []float64) Stat {
	if len(v) == 0 {
		return Stat{}
	}
	s := slices.Sorted(slices.Values(v))
	return Stat{Median: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, Min: s[0], Max: s[len(s)-1], N: len(s), Rounds: s}
}

// String returns the median with the spread.
func (s Stat) String() string {
	switch {
	case s.N == 0:
		return ""
	case s.N == 1:
		return Thousands(s.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", Thousands(s.Median), Thousands(s.Min), Thousands(s.Max))
}

// Thousands writes a rate with three digits, in thousands or millions.
func Thousands(v float64) string {
	scaled, unit := v/1e3, "k"
	if v >= 999_500 {
		scaled, unit = v/1e6, "M"
	}
	digits := 0
	switch {
	case scaled < 9.995:
		digits = 2
	case scaled < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(scaled, 'f', digits, 64) + unit
}

// CellSummary is what was measured of a cell.
type CellSummary struct {
	Name      string `json:"name"` // the cell's
	Cell      Cell   `json:"cell"`
	Producer  Stat   `json:"producer_images_per_second,omitzero"`
	Consumers Stat   `json:"consumers_images_per_second,omitzero"`
	Kept      Stat   `json:"consumers_by_producer_ratio,omitzero"` // of the same run
	Failed    string `json:"failed,omitempty"`                     // why the newest run failed
}

// Summary is what was measured of a grid.
type Summary struct {
	Grid  Grid
	Cells []CellSummary // in the grid's order, those without a run among them
	Done  int           // runs that count or warm up
	All   int
	First time.Time // when the first of them began; zero if there is none
	Last  time.Time // when the last one ended

	at map[Cell]int // in Cells
}

// Summarise adds up rows. Those that warm up count as done only.
func Summarise(g Grid, rows []Row) *Summary {
	todo, all := missing(g, rows)
	s := &Summary{Grid: g, Done: all - len(todo), All: all, at: make(map[Cell]int)}
	producer, consumers, kept := make(map[Cell][]float64), make(map[Cell][]float64), make(map[Cell][]float64)
	failed, seen := make(map[Run]string), make(map[Run]bool)
	wanted := make(map[Run]bool)
	for run := range g.Runs() {
		wanted[run] = true
	}
	for _, r := range rows {
		failed[r.Run] = r.Failed // one that succeeds later counts
		if wanted[r.Run] {
			s.note(r)
		}
		if r.Failed != "" || r.Repetition < 1 || r.Repetition > g.Repetitions || seen[r.Run] {
			continue
		}
		seen[r.Run] = true
		if r.Written > 0 {
			producer[r.Cell] = append(producer[r.Cell], r.Written)
		}
		if r.Read > 0 {
			consumers[r.Cell] = append(consumers[r.Cell], r.Read)
		}
		if r.Written > 0 && r.Read > 0 {
			kept[r.Cell] = append(kept[r.Cell], r.Read/r.Written)
		}
	}
	for _, c := range g.Cells() {
		s.at[c] = len(s.Cells)
		s.Cells = append(s.Cells, CellSummary{Name: c.String(), Cell: c, Producer: stat(producer[c]), Consumers: stat(consumers[c]), Kept: stat(kept[c])})
	}
	for _, r := range rows {
		if i, ok := s.at[r.Cell]; ok && r.Failed != "" && failed[r.Run] != "" {
			s.Cells[i].Failed = r.Failed
		}
	}
	return s
}

// note notes when a run began and ended.
func (s *Summary) note(r Row) {
	if r.Failed != "" || r.At.IsZero() {
		return
	}
	if s.First.IsZero() || r.At.Before(s.First) {
		s.First = r.At
	}
	if ended := r.At.Add(time.Duration(r.Seconds * float64(time.Second))); ended.After(s.Last) {
		s.Last = ended
	}
}

// Of returns what was measured of a cell, zero if nothing was.
func (s *Summary) Of(c Cell) CellSummary {
	if i, ok := s.at[c]; ok {
		return s.Cells[i]
	}
	return CellSummary{Cell: c}
}

// Partial reports whether runs are missing.
func (s *Summary) Partial() bool { return s.Done < s.All }
