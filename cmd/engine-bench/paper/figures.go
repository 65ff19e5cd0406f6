package paper

import (
	"fmt"
	"slices"
	"strconv"
)

// Figure is one of the paper's figures, measured here.
type Figure struct {
	Name  string // "Figure 4", as the paper counts, by the scenario that we take it to show
	Title string
	Paper string // what the paper found, in words: its text states no numbers
	Here  string // what was measured here
	Chart Chart
}

// side is from where a run is seen.
type side func(CellSummary) Stat

func producerSide(c CellSummary) Stat  { return c.Producer }
func consumersSide(c CellSummary) Stat { return c.Consumers }

// Figures returns the figures of one Kafka: the paper's four, and that of the
// step that it left for later.
func (s *Summary) Figures(k Setup) []Figure {
	return []Figure{
		{
			Name: "Figure 4, as we read it", Title: "Producer, with consumers running",
			Paper: "The producer's throughput depends strongly on the number of partitions, also while consumers read.",
			Here:  s.producerFinding(k, Both), Chart: s.chart(k, Both, producerSide),
		},
		{
			Name: "Figure 5, as we read it", Title: "Consumers, with the producer running",
			Paper: "While both run, the consumers' throughput is about the producer's.",
			Here:  s.bothFinding(k), Chart: s.chart(k, Both, consumersSide),
		},
		{
			Name: "Figure 6, as we read it", Title: "Producer alone",
			Paper: "The producer's throughput depends strongly on the number of partitions, without consumers too.",
			Here:  s.producerFinding(k, Write), Chart: s.chart(k, Write, producerSide),
		},
		{
			Name: "Figure 7, as we read it", Title: "Consumers on a loaded topic",
			Paper: "The consumers' total throughput grows in proportion to their number.",
			Here:  s.growthFinding(k), Chart: s.chart(k, Read, consumersSide),
		},
		{
			Name: "The next step", Title: "Recognition in the consumers",
			Paper: "Left for later: recognising the images where they are consumed, spread over executors.",
			Here:  s.recogniseFinding(k), Chart: s.chart(k, Recognise, consumersSide),
		},
	}
}

// Across returns the figure over the Kafkas that are measured, nil if there is one only.
func (s *Summary) Across() *Figure {
	setups := s.Grid.Setups()
	if len(setups) < 2 {
		return nil
	}
	c := Chart{X: "brokers / replication", Y: "images/s", Series: []Series{{Name: "written"}, {Name: "read, bare", Color: 1}, {Name: "read, engine", Color: 1, Dashed: true}}}
	partitions, consumers := slices.Max(s.Grid.Partitions), slices.Max(s.Grid.Consumers)
	for _, k := range setups {
		c.Ticks = append(c.Ticks, fmt.Sprintf("%d / %d", k.Nodes, k.Replication))
		for i, point := range []Stat{
			s.Of(Cell{k, partitions, Write, Nobody, 0}).Producer,
			s.Of(Cell{k, partitions, Read, Bare, consumers}).Consumers,
			s.Of(Cell{k, partitions, Read, Engine, consumers}).Consumers,
		} {
			c.Series[i].Points = append(c.Series[i].Points, point)
		}
	}
	return &Figure{
		Name: "The other next step", Title: "Several brokers", Paper: "Left for later: a Kafka of several nodes.",
		Here: s.setupsFinding(), Chart: c,
	}
}

// chart returns a scenario's rates over the partitions: a line for each number of
// consumers and each reader.
func (s *Summary) chart(k Setup, of Scenario, from side) Chart {
	c := Chart{X: "partitions", Y: "images/s"}
	for _, p := range s.Grid.Partitions {
		c.Ticks = append(c.Ticks, strconv.Itoa(p))
	}
	if of == Write {
		c.Series = []Series{s.series(Cell{k, 0, Write, Nobody, 0}, from, "producer", 0)}
		return c
	}
	for i, n := range s.Grid.Consumers {
		for _, r := range []Reader{Bare, Engine} {
			c.Series = append(c.Series, s.series(Cell{k, 0, of, r, n}, from, fmt.Sprintf("%d %s", n, r), i))
		}
	}
	return c
}

// series returns the rates of a cell over the partitions.
func (s *Summary) series(c Cell, from side, name string, color int) Series {
	line := Series{Name: name, Color: color, Dashed: c.Reader == Engine}
	for _, p := range s.Grid.Partitions {
		c.Partitions = p
		line.Points = append(line.Points, from(s.Of(c)))
	}
	return line
}
