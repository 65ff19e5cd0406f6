package paper

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Where a finding of the paper is said to hold here. The paper's words have no bounds;
// these are ours, and the reports print the numbers that they are applied to.
const (
	strongly   = 1.5  // the most partitions have so many times the rate of the fewest
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

// tally counts the cases in which a finding holds.
type tally struct {
	in, cases int
	once      bool // a rate is of one run
}

func (t *tally) add(in bool, of ...Stat) {
	t.cases++
	if in {
		t.in++
	}
	t.once = t.once || slices.ContainsFunc(of, func(s Stat) bool { return s.N == 1 })
}

// verdict says whether a finding holds in all of the cases, in some or in none, and what
// the paper's word is taken to mean. One run has no spread: with that reservation.
func (t *tally) verdict(word, meaning string) string {
	s := fmt.Sprintf("It holds in %d of %d cases", t.in, t.cases)
	switch t.in {
	case t.cases:
		s = "It holds"
	case 0:
		s = "It doesn't hold"
	}
	s = fmt.Sprintf("%s (%q: %s).", s, word, meaning)
	if t.once {
		s += " A first guess, of one run each."
	}
	return s
}

// producerFinding says how the producer's rate depends on the partitions.
func (s *Summary) producerFinding(k Setup, of Scenario) Finding {
	fewest, most := slices.Min(s.Grid.Partitions), slices.Max(s.Grid.Partitions)
	if fewest == most {
		return Finding{Here: "It takes two numbers of partitions to see."}
	}
	var times []float64
	var few, many Stat
	var t tally
	for _, c := range s.cases(of) {
		rate := func(partitions int) Stat {
			return s.Of(Cell{k, partitions, of, c.Reader, c.Consumers}).Producer
		}
		if few, many = rate(fewest), rate(most); few.N == 0 || many.N == 0 {
			continue
		}
		times = append(times, many.Median/few.Median)
		t.add(many.Median >= strongly*few.Median, many, few)
	}
	verdict := t.verdict("strongly", fmt.Sprintf("%g times as much, or more", strongly))
	switch r := stat(times); {
	case r.N == 0:
		return notMeasured
	case of == Write:
		return Finding{fmt.Sprintf("It writes %.2f times as much with %d partitions as with %d: %s and %s images/s%s.",
			r.Median, most, fewest, thousands(many.Median), thousands(few.Median), s.bestWritten(k, most)), verdict}
	default:
		return Finding{fmt.Sprintf("It writes %s as much with %d partitions as with %d.", over(r), most, fewest), verdict}
	}
}

// bestWritten says with which number of partitions a producer alone is fastest, unless that is
// the most.
func (s *Summary) bestWritten(k Setup, most int) string {
	rate := func(partitions int) float64 { return s.Of(Cell{k, partitions, Write, Nobody, 0}).Producer.Median }
	best := slices.MaxFunc(s.Grid.Partitions, func(a, b int) int { return cmp.Compare(rate(a), rate(b)) })
	if best == most {
		return ""
	}
	return fmt.Sprintf("; the most, %s, with %d", thousands(rate(best)), best)
}

// over writes how many times, over several cases.
func over(r Stat) string {
	if r.N == 1 {
		return fmt.Sprintf("%.2f times", r.Median)
	}
	return fmt.Sprintf("%.2f times (from %.2f to %.2f in %d cases)", r.Median, r.Min, r.Max, r.N)
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
		if c.Cell.Setup != k || c.Cell.Scenario != Both || c.Producer.N == 0 || c.Consumers.N == 0 {
			continue
		}
		ratio := c.Consumers.Median / c.Producer.Median
		ratios = append(ratios, ratio)
		t.add(ratio > 1-alike && ratio < 1+alike, c.Producer, c.Consumers)
	}
	if len(ratios) == 0 {
		return notMeasured
	}
	return Finding{fmt.Sprintf("They read %s as much as it writes.", over(stat(ratios))), t.verdict("about", fmt.Sprintf("within %g %%", 100*alike))}
}

// growthFinding says how the consumers' total grows with their number, with the most
// partitions, since a partition has one consumer at most.
func (s *Summary) growthFinding(k Setup) Finding {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	var t tally
	for _, n := range s.Grid.Consumers {
		var times []string
		for _, reader := range []Reader{Bare, Engine} {
			one, all := s.Of(Cell{k, partitions, Read, reader, 1}).Consumers, s.Of(Cell{k, partitions, Read, reader, n}).Consumers
			if n == 1 || n > partitions || one.N == 0 || all.N == 0 {
				continue
			}
			grown := all.Median / one.Median
			t.add(grown >= proportion*float64(n), all, one)
			times = append(times, fmt.Sprintf("%.2f times (%s)", grown, reader))
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
			said = append(said, fmt.Sprintf("%s %s (bare), %s (engine)", count(n, "consumer"), thousands(bare.Median), thousands(engine.Median)))
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
			said = append(said, fmt.Sprintf("%s: written %s, read %s (bare), %s (engine)", k, thousands(written.Median), thousands(bare.Median), thousands(engine.Median)))
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
	Cell  Cell
	Ratio float64
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
			all = append(all, Beside{c.Cell, c.Consumers.Median / b.Median})
		}
	}
	return all
}
