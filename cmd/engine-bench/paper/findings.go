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
	strongly   = 1.5  // the best number of partitions has so many times the rate of the worst
	alike      = 0.2  // two rates differ by this part at most
	proportion = 0.75 // n consumers have this part of n times the rate of one
)

// notMeasured is what is said of a figure without its runs.
const notMeasured = "Not measured yet."

// Verdicts.
const (
	holds     = "It holds here"
	holdsNot  = "It doesn't hold here"
	holdsPart = "It holds here in part"
)

// verdict says whether a finding holds in all of the cases, in some or in none: by one
// run, which has no spread, with that reservation.
func (t *tally) verdict() string {
	s := holdsPart
	switch t.in {
	case t.cases:
		s = holds
	case 0:
		s = holdsNot
	default:
		s = fmt.Sprintf("%s, in %d of %d cases", s, t.in, t.cases)
	}
	if t.once {
		s = "One run: no spread. By it: " + strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

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

// producerFinding says how the producer's rate depends on the partitions.
func (s *Summary) producerFinding(k Setup, of Scenario) string {
	type rate struct {
		partitions int
		Stat
	}
	var said []string
	var t tally
	for _, c := range s.cases(of) {
		c.Setup = k
		var rates []rate
		for _, p := range s.Grid.Partitions {
			c.Partitions = p
			if v := s.Of(c).Producer; v.N > 0 {
				rates = append(rates, rate{p, v})
			}
		}
		if len(rates) < 2 {
			continue
		}
		byRate := func(a, b rate) int { return cmp.Compare(a.Median, b.Median) }
		best, worst := slices.MaxFunc(rates, byRate), slices.MinFunc(rates, byRate)
		byPartitions := func(a, b rate) int { return cmp.Compare(a.partitions, b.partitions) }
		most, fewest := slices.MaxFunc(rates, byPartitions), slices.MinFunc(rates, byPartitions)
		t.add(most.Median >= strongly*fewest.Median, most.Stat, fewest.Stat)
		said = append(said, fmt.Sprintf("%s%s/s with %d, %s/s with %s", who(c), thousands(best.Median), best.partitions, thousands(worst.Median), count(worst.partitions, "partition")))
	}
	if t.cases == 0 {
		return notMeasured
	}
	return fmt.Sprintf("%s (strongly: with the most partitions it is at least %g times that with the fewest). Best and worst: %s.", t.verdict(), strongly, strings.Join(said, "; "))
}

// who names the consumers of a case.
func who(c Cell) string {
	if c.Reader == Nobody {
		return ""
	}
	return fmt.Sprintf("%s (%s): ", count(c.Consumers, "consumer"), c.Reader)
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
func (s *Summary) bothFinding(k Setup) string {
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
	r := stat(ratios)
	return fmt.Sprintf("%s (about: within %g %%). The consumers' rate is %.2f of the producer's, from %.2f to %.2f.", t.verdict(), 100*alike, r.Median, r.Min, r.Max)
}

// growthFinding says how the consumers' total grows with their number, with the most
// partitions, since a partition has one consumer at most.
func (s *Summary) growthFinding(k Setup) string {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	var t tally
	for _, reader := range []Reader{Bare, Engine} {
		rate := func(n int) Stat { return s.Of(Cell{k, partitions, Read, reader, n}).Consumers }
		one := rate(1)
		if one.N == 0 {
			continue
		}
		for _, n := range s.Grid.Consumers {
			if n == 1 || n > partitions || rate(n).N == 0 {
				continue
			}
			times := rate(n).Median / one.Median
			t.add(times >= proportion*float64(n), rate(n), one)
			said = append(said, fmt.Sprintf("%d (%s) have %.2f times the rate of one", n, reader, times))
		}
	}
	if t.cases == 0 {
		return notMeasured
	}
	return fmt.Sprintf("%s (in proportion: %g of it at least). With %s, %s.", t.verdict(), proportion, count(partitions, "partition"), strings.Join(said, ", "))
}

// recogniseFinding says how fast images are recognised, with the most partitions.
func (s *Summary) recogniseFinding(k Setup) string {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	for _, n := range s.Grid.Consumers {
		bare := s.Of(Cell{k, partitions, Recognise, Bare, n}).Consumers
		engine := s.Of(Cell{k, partitions, Recognise, Engine, n}).Consumers
		if bare.N > 0 && engine.N > 0 {
			said = append(said, fmt.Sprintf("%s %s/s, %s %s/s", count(n, "bare consumer"), thousands(bare.Median), count(n, "executor"), thousands(engine.Median)))
		}
	}
	if said == nil {
		return notMeasured
	}
	return fmt.Sprintf("Recognised with %s: %s.", count(partitions, "partition"), strings.Join(said, "; "))
}

// setupsFinding says what each Kafka did, with the most partitions and consumers.
func (s *Summary) setupsFinding() string {
	partitions, consumers := slices.Max(s.Grid.Partitions), slices.Max(s.Grid.Consumers)
	var said []string
	for _, k := range s.Grid.Setups() {
		written := s.Of(Cell{k, partitions, Write, Nobody, 0}).Producer
		bare := s.Of(Cell{k, partitions, Read, Bare, consumers}).Consumers
		engine := s.Of(Cell{k, partitions, Read, Engine, consumers}).Consumers
		if written.N > 0 && bare.N > 0 && engine.N > 0 {
			said = append(said, fmt.Sprintf("%s: written %s/s, read %s/s (bare), %s/s (engine)", k, thousands(written.Median), thousands(bare.Median), thousands(engine.Median)))
		}
	}
	if said == nil {
		return notMeasured
	}
	return fmt.Sprintf("A producer alone and %s on a loaded topic, with %s. %s.", count(consumers, "consumer"), count(partitions, "partition"), strings.Join(said, "; "))
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
