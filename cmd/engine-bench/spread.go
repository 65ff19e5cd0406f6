package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// spread is what rounds measured.
type spread struct {
	Rounds []float64
}

func (s *spread) add(v float64) { s.Rounds = append(s.Rounds, v) }

func (s spread) median() float64 { return median(s.Rounds) }

// String returns the median, with the least and the most where there are several.
func (s spread) String() string {
	return s.text(func(v float64) string { return fmt.Sprintf("%.2f", v) })
}

// text is String with numbers written by number.
func (s spread) text(number func(v float64) string) string {
	switch len(s.Rounds) {
	case 0:
		return "-"
	case 1:
		return number(s.Rounds[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(s.median()), number(slices.Min(s.Rounds)), number(slices.Max(s.Rounds)))
}

// MarshalJSON writes the median, the least, the most and the rounds.
func (s spread) MarshalJSON() ([]byte, error) {
	if len(s.Rounds) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Median float64   `json:"median"`
		Min    float64   `json:"min"`
		Max    float64   `json:"max"`
		Rounds []float64 `json:"rounds"`
	}{s.median(), slices.Min(s.Rounds), slices.Max(s.Rounds), s.Rounds})
}
