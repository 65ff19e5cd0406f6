package paper

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Where a finding of the paper is said to hold here. The paper's words have no bounds;
// these are ours, and the reports print the numbers that they are applied to.
const (
	strongly   = 1.5  // the most partitions have so many times the rate of the fewest, or that part of it
	alike      = 0.2  // two rates differ by this part at most
	proportion = 0.75 // n consumers have this part of n times the rate of one
)

// Finding is what was measured of what the paper found.
type Finding struct {
	Here    string // what was measured
	Verdict string // whether that is what the paper found; "" where it found nothing
}

// notMeasured is what is said of a figure without its runs.
var notMeasured = Finding{Here: "Not measured yet."}

// tooLittle is what is said of one that has points, but not those that its finding needs.
var tooLittle = Finding{Here: "Too little is measured for a verdict yet."}

// tally counts the cases in which a finding holds.
type tally struct {
	holds, fails, cases int
	single, rates       int // rates of one run, and all
}

// bounds are the least and the most times that one rate is of another.
type bounds struct{ from, to float64 }

// add takes in a case: whether of is by times what is within one of the bounds. Where some of
// the runs say so and others don't it is within the spread.
func (t *tally) add(of, by Stat, within ...bounds) {
	t.cases++
	least, most := of.Min/by.Max, of.Max/by.Min
	switch {
	case slices.ContainsFunc(within, func(w bounds) bool { return w.from <= least && most <= w.to }):
		t.holds++
	case !slices.ContainsFunc(within, func(w bounds) bool { return w.from <= most && least <= w.to }):
		t.fails++
	}
	for _, s := range []Stat{of, by} {
		if t.rates++; s.N == 1 {
			t.single++
		}
	}
}

// verdict says in how many of the cases a finding holds, and what the paper's word is taken
// to mean. One run has no spread: with that reservation.
func (t *tally) verdict(word, meaning string) string {
	return fmt.Sprintf("%s (%q: %s).%s", t.says(), word, meaning, t.reservation())
}

// says says in how many of the cases a finding holds.
func (t *tally) says() string {
	within := t.cases - t.holds - t.fails
	switch t.cases {
	case t.holds:
		return "It holds"
	case t.fails:
		return "It doesn't hold"
	case within:
		return "It is within the spread"
	}
	s := fmt.Sprintf("It holds in %d of %d cases", t.holds, t.cases)
	if within > 0 {
		s += fmt.Sprintf(", doesn't in %d, and is within the spread in %d", t.fails, within)
	}
	return s
}

// reservation says which rates have no spread.
func (t *tally) reservation() string {
	switch t.single {
	case 0:
		return ""
	case t.rates:
		return " A first guess, of one run each."
	}
	return " Some rates are of one run."
}

// producerFinding says how the producer's rate depends on the partitions.
func (s *Summary) producerFinding(k Setup, of Scenario) Finding {
	fewest, most := slices.Min(s.Grid.Partitions), slices.Max(s.Grid.Partitions)
	if fewest == most {
		return Finding{Here: "It takes two numbers of partitions to see."}
	}
	pairs := s.producers(k, of, fewest, most)
	if pairs == nil {
		return notMeasured
	}
	var times []float64
	var t tally
	for _, p := range pairs {
		times = append(times, p.many.Median/p.few.Median)
		t.add(p.many, p.few, bounds{strongly, math.Inf(1)}, bounds{0, 1 / strongly})
	}
	r := stat(times)
	here := fmt.Sprintf("It writes %.2f times as much with %d partitions as with %d", r.Median, most, fewest)
	if of == Write {
		here += fmt.Sprintf(": %s and %s images/s%s.", Thousands(pairs[0].many.Median), Thousands(pairs[0].few.Median), s.bestWritten(k, most))
	} else {
		here += among(r) + "."
	}
	return Finding{here, t.verdict("strongly", fmt.Sprintf("by %g times or more, up or down", strongly))}
}

// fewMany is a producer's rate with few partitions and with many.
type fewMany struct{ few, many Stat }

// producers returns the producer's rates in a scenario's cases that were measured with both
// numbers of partitions.
func (s *Summary) producers(k Setup, of Scenario, few, many int) (pairs []fewMany) {
	for _, c := range s.cases(of) {
		rate := func(partitions int) Stat {
			return s.Of(Cell{k, partitions, of, c.Reader, c.Consumers}).Producer
		}
		if p := (fewMany{rate(few), rate(many)}); p.few.N > 0 && p.many.N > 0 {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// bestWritten says with which number of partitions a producer alone is fastest, unless that is
// the most.
func (s *Summary) bestWritten(k Setup, most int) string {
	rate := func(partitions int) float64 { return s.Of(Cell{k, partitions, Write, Nobody, 0}).Producer.Median }
	best := slices.MaxFunc(s.Grid.Partitions, func(a, b int) int { return cmp.Compare(rate(a), rate(b)) })
	if best == most {
		return ""
	}
	return fmt.Sprintf("; the most, %s, with %d", Thousands(rate(best)), best)
}

// among says of how many cases a number is the median, "" if it is of one.
func among(r Stat) string {
	if r.N == 1 {
		return ""
	}
	return fmt.Sprintf(", the median of %d cases from %.2f to %.2f", r.N, r.Min, r.Max)
}

// cases returns the consumers of a scenario's cells.
func (s *Summary) cases(of Scenario) []Cell {
	if of == Write {
		return []Cell{{Scenario: Write, Reader: Nobody}}
	}
	var all []Cell
	for _, r := range []Reader{Bare, Engine} {
		for _, n := range s.Grid.Consumers {
			all = append(all, Cell{Scenario: of, Reader: r, Consumers: n})
		}
	}
	return all
}

// bothFinding says whether consumers keep up with the producer.
func (s *Summary) bothFinding(k Setup) Finding {
	var ratios []float64
	var t tally
	for _, c := range s.Cells {
		if c.Cell.Setup != k || c.Cell.Scenario != Both || c.Kept.N == 0 {
			continue
		}
		ratios = append(ratios, c.Kept.Median)
		t.add(c.Kept, Stat{Median: 1, Min: 1, Max: 1, N: c.Kept.N}, bounds{1 - alike, 1 + alike})
	}
	if len(ratios) == 0 {
		return notMeasured
	}
	r := stat(ratios)
	return Finding{fmt.Sprintf("They read %.2f times as much as it writes%s.", r.Median, among(r)), t.verdict("about", fmt.Sprintf("within %g %%", 100*alike))}
}

// growthFinding says how the consumers' total grows with their number, with the most
// partitions, since a partition has one consumer at most.
func (s *Summary) growthFinding(k Setup) Finding {
	partitions := slices.Max(s.Grid.Partitions)
	several := func(n int) bool { return n > 1 && n <= partitions }
	if !slices.Contains(s.Grid.Consumers, 1) || !slices.ContainsFunc(s.Grid.Consumers, several) {
		return Finding{Here: "It takes one consumer and several, on as many partitions, to see."}
	}
	var said []string
	var t tally
	for _, n := range s.Grid.Consumers {
		var times []string
		for _, reader := range []Reader{Bare, Engine} {
			one, all := s.Of(Cell{k, partitions, Read, reader, 1}).Consumers, s.Of(Cell{k, partitions, Read, reader, n}).Consumers
			if !several(n) || one.N == 0 || all.N == 0 {
				continue
			}
			t.add(all, one, bounds{proportion * float64(n), math.Inf(1)})
			times = append(times, fmt.Sprintf("%.2f times (%s)", all.Median/one.Median, reader))
		}
		if times != nil {
			said = append(said, fmt.Sprintf("%d read %s", n, strings.Join(times, ", ")))
		}
	}
	if t.cases == 0 {
		return notMeasured
	}
	return Finding{
		fmt.Sprintf("With %s, %s as much as one.", count(partitions, "partition"), strings.Join(said, "; ")),
		t.verdict("in proportion", fmt.Sprintf("%g of it, or more", proportion)),
	}
}

// recogniseFinding says how fast images are recognised, with the most partitions.
func (s *Summary) recogniseFinding(k Setup) Finding {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	for _, n := range s.Grid.Consumers {
		bare := s.Of(Cell{k, partitions, Recognise, Bare, n}).Consumers
		engine := s.Of(Cell{k, partitions, Recognise, Engine, n}).Consumers
		if bare.N > 0 && engine.N > 0 {
			said = append(said, fmt.Sprintf("%s %s (bare), %s (engine)", count(n, "consumer"), Thousands(bare.Median), Thousands(engine.Median)))
		}
	}
	if said == nil {
		return notMeasured
	}
	return Finding{Here: fmt.Sprintf("With %s, in images/s: %s.", count(partitions, "partition"), strings.Join(said, "; "))}
}

// setupsFinding says what each Kafka did, with the most partitions and consumers.
func (s *Summary) setupsFinding() Finding {
	var said []string
	for _, k := range s.Grid.Setups() {
		of := s.mostOf(k)
		if written, bare, engine := of[0].Producer, of[1].Consumers, of[2].Consumers; written.N > 0 && bare.N > 0 && engine.N > 0 {
			said = append(said, fmt.Sprintf("%s: written %s, read %s (bare), %s (engine)", k, Thousands(written.Median), Thousands(bare.Median), Thousands(engine.Median)))
		}
	}
	if said == nil {
		return notMeasured
	}
	return Finding{Here: fmt.Sprintf("A producer alone, and %s on a loaded topic, with %s, in images/s. %s.",
		count(slices.Max(s.Grid.Consumers), "consumer"), count(slices.Max(s.Grid.Partitions), "partition"), strings.Join(said, "; "))}
}

// Beside is the engine's rate beside the bare clients' in a scenario.
type Beside struct {
	Name  string  `json:"name"` // the engine's cell's
	Cell  Cell    `json:"cell"`
	Ratio float64 `json:"ratio"`
}

// EngineBeside returns the engine's part of the bare clients' rate in the cells that both
// measured: medians.
func (s *Summary) EngineBeside() []Beside {
	var all []Beside
	for _, c := range s.Cells {
		if c.Cell.Reader != Engine || c.Consumers.N == 0 {
			continue
		}
		bare := c.Cell
		bare.Reader = Bare
		if b := s.Of(bare).Consumers; b.N > 0 {
			all = append(all, Beside{c.Name, c.Cell, c.Consumers.Median / b.Median})
		}
	}
	return all
}

// besideBare says what part of the bare clients' rate the engine has in a scenario, "" if one
// of them wasn't measured.
func (s *Summary) besideBare(k Setup, of Scenario) string {
	var ratios []float64
	for _, b := range s.EngineBeside() {
		if b.Cell.Setup == k && b.Cell.Scenario == of {
			ratios = append(ratios, b.Ratio)
		}
	}
	if ratios == nil {
		return ""
	}
	r := stat(ratios)
	return fmt.Sprintf(" The engine has %.2f of the bare clients' rate%s.", r.Median, among(r))
}
