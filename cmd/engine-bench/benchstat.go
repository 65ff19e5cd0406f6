package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// writeBenchstat writes what a report measured as lines that benchstat reads: a line for each
// round of what is known by round, and one for the rest.
func writeBenchstat(w io.Writer, workload string, r report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	b := &benchLines{units: make(map[string]string)}
	b.object("Benchmark"+strings.ToUpper(workload[:1])+workload[1:], fields)
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/hibana-engine/hibana/cmd/engine-bench\n", runtime.GOOS, runtime.GOARCH)
	for _, unit := range slices.Sorted(maps.Keys(b.units)) {
		if better := b.units[unit]; better != "" {
			fmt.Fprintf(w, "Unit %s better=%s\n", unit, better)
		}
	}
	for _, line := range b.lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// benchLines are the lines of a report.
type benchLines struct {
	lines []string
	units map[string]string // which values are better, by unit; "" where that isn't clear
}

// object adds what an object of a report measured.
func (b *benchLines) object(name string, fields map[string]any) {
	var once strings.Builder
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		unit, better, measured := unitOf(k)
		rounds, byRound := roundsOf(fields[k])
		if figure, ok := fields["figure"].(string); ok && byRound && !measured {
			unit, better = unitOfFigure(k, figure)
			measured = true
		}
		switch {
		case measured && byRound:
			b.units[unit] = better
			for _, v := range rounds {
				b.lines = append(b.lines, fmt.Sprintf("%s 1 %v %s", name, v, unit))
			}
		case byRound: // settings, or rounds of what has a name of its own
		case measured:
			v, ok := fields[k].(float64)
			_, plural := fields[k+"s"] // its rounds
			if ok && !plural {
				b.units[unit] = better
				fmt.Fprintf(&once, " %v %s", v, unit)
			}
		default:
			b.parts(name, fields[k])
		}
	}
	if once.Len() > 0 {
		b.lines = append(b.lines, name+" 1"+once.String())
	}
}

// parts adds the objects of a list, each under its name.
func (b *benchLines) parts(name string, list any) {
	all, _ := list.([]any)
	for _, part := range all {
		fields, ok := part.(map[string]any)
		if !ok {
			continue
		}
		label := fields["name"]
		if label == nil {
			label = fields["killed"]
		}
		if s, ok := label.(string); ok {
			b.object(name+"/"+strings.ReplaceAll(s, " ", "_"), fields)
		}
	}
}

// roundsOf returns the numbers of a list, or those of a spread.
func roundsOf(v any) (rounds []float64, ok bool) {
	if o, is := v.(map[string]any); is {
		v = o["rounds"]
	}
	list, _ := v.([]any)
	for _, e := range list {
		n, is := e.(float64)
		if !is {
			return nil, false
		}
		rounds = append(rounds, n)
	}
	return rounds, len(rounds) > 0
}

// unitOfFigure returns the unit of rounds whose figure is named beside them, as compare does.
func unitOfFigure(whose, figure string) (unit, better string) {
	if better = "lower"; figure == figureRate {
		better = "higher"
	}
	return whose + "-" + strings.ReplaceAll(figure, " ", "-"), better
}

// unitOf returns the unit of a field and which of its values are better, if it is one that
// was measured.
func unitOf(field string) (unit, better string, ok bool) {
	unit = strings.ReplaceAll(field, "_", "-")
	switch {
	case field == "interval_ms", field == "run_seconds", strings.HasPrefix(field, "spark_published_"):
		return "", "", false
	case strings.HasSuffix(field, "ratio"), strings.HasSuffix(field, "ratios"):
		return strings.TrimSuffix(unit, "s"), "", true
	}
	for suffix, better := range map[string]string{
		"per_second": "higher", "gflops": "higher",
		"ms": "lower", "seconds": "lower", "per_epoch": "lower", "mib": "lower", "us": "lower",
		"allocs_per_record": "lower", "allocs_per_image": "lower", "allocs_per_step": "lower",
	} {
		if field == suffix || strings.HasSuffix(field, "_"+suffix) {
			return unit, better, true
		}
	}
	return "", "", false
}
