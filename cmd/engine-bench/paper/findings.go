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

// verdict says whether a finding holds in all of the cases, in some or in none.
func verdict(in, of int) string {
	switch in {
	case of:
		return holds
	case 0:
		return holdsNot
	}
	return fmt.Sprintf("%s, in %d of %d cases", holdsPart, in, of)
}

// producerFinding says how the producer's rate depends on the partitions.
func (s *Summary) producerFinding(replication int, of Scenario) string {
	type rate struct {
		partitions int
		v          float64
	}
	var said []string
	in, cases := 0, 0
	for _, c := range s.cases(of) {
		c.Replication = replication
		var rates []rate
		for _, p := range s.Grid.Partitions {
			c.Partitions = p
			if v := s.Of(c).Producer; v.N > 0 {
				rates = append(rates, rate{p, v.Median})
			}
		}
		if len(rates) < 2 {
			continue
		}
		byRate := func(a, b rate) int { return cmp.Compare(a.v, b.v) }
		best, worst := slices.MaxFunc(rates, byRate), slices.MinFunc(rates, byRate)
		byPartitions := func(a, b rate) int { return cmp.Compare(a.partitions, b.partitions) }
		if cases++; slices.MaxFunc(rates, byPartitions).v >= strongly*slices.MinFunc(rates, byPartitions).v {
			in++
		}
		said = append(said, fmt.Sprintf("%s%s/s with %d, %s/s with %s", who(c), thousands(best.v), best.partitions, thousands(worst.v), count(worst.partitions, "partition")))
	}
	if cases == 0 {
		return notMeasured
	}
	return fmt.Sprintf("%s (strongly: with the most partitions it is at least %g times that with the fewest). Best and worst: %s.", verdict(in, cases), strongly, strings.Join(said, "; "))
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
func (s *Summary) bothFinding(replication int) string {
	var ratios []float64
	in := 0
	for _, c := range s.Cells {
		if c.Cell.Replication != replication || c.Cell.Scenario != Both || c.Producer.N == 0 || c.Consumers.N == 0 {
			continue
		}
		ratio := c.Consumers.Median / c.Producer.Median
		ratios = append(ratios, ratio)
		if ratio > 1-alike && ratio < 1+alike {
			in++
		}
	}
	if len(ratios) == 0 {
		return notMeasured
	}
	r := stat(ratios)
	return fmt.Sprintf("%s (about: within %g %%). The consumers' rate is %.2f of the producer's, from %.2f to %.2f.", verdict(in, len(ratios)), 100*alike, r.Median, r.Min, r.Max)
}

// growthFinding says how the consumers' total grows with their number, with the most
// partitions, since a partition has one consumer at most.
func (s *Summary) growthFinding(replication int) string {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	in, cases := 0, 0
	for _, reader := range []Reader{Bare, Engine} {
		rate := func(n int) float64 { return s.Of(Cell{replication, partitions, Read, reader, n}).Consumers.Median }
		one := rate(1)
		if one == 0 {
			continue
		}
		for _, n := range s.Grid.Consumers {
			if n == 1 || n > partitions || rate(n) == 0 {
				continue
			}
			times := rate(n) / one
			if cases++; times >= proportion*float64(n) {
				in++
			}
			said = append(said, fmt.Sprintf("%d (%s) have %.2f times the rate of one", n, reader, times))
		}
	}
	if cases == 0 {
		return notMeasured
	}
	return fmt.Sprintf("%s (in proportion: %g of it at least). With %s, %s.", verdict(in, cases), proportion, count(partitions, "partition"), strings.Join(said, ", "))
}

// recogniseFinding says how fast images are recognised, with the most partitions.
func (s *Summary) recogniseFinding(replication int) string {
	partitions := slices.Max(s.Grid.Partitions)
	var said []string
	for _, n := range s.Grid.Consumers {
		bare := s.Of(Cell{replication, partitions, Recognise, Bare, n}).Consumers
		engine := s.Of(Cell{replication, partitions, Recognise, Engine, n}).Consumers
		if bare.N > 0 && engine.N > 0 {
			said = append(said, fmt.Sprintf("%s %s/s, %s %s/s", count(n, "bare consumer"), thousands(bare.Median), count(n, "executor"), thousands(engine.Median)))
		}
	}
	if said == nil {
		return notMeasured
	}
	return fmt.Sprintf("Recognised with %s: %s.", count(partitions, "partition"), strings.Join(said, "; "))
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
