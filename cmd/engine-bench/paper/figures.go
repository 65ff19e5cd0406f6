package paper

import (
	"fmt"
	"strconv"
)

// Figure is one of the paper's figures, measured here.
type Figure struct {
	Name  string // "Figure 4", as the paper counts
	Title string
	Paper string // what the paper found, in words: its text states no numbers
	Here  string // what was measured here
	Chart Chart
}

// side is from where a run is seen.
type side func(CellSummary) Stat

func producerSide(c CellSummary) Stat  { return c.Producer }
func consumersSide(c CellSummary) Stat { return c.Consumers }

// Figures returns the figures of one replication: the paper's four, and that of the
// step that it left for later.
func (s *Summary) Figures(replication int) []Figure {
	return []Figure{
		{
			Name: "Figure 4", Title: "Producer, with consumers running",
			Paper: "The producer's throughput depends strongly on the number of partitions, also while consumers read.",
			Here:  s.producerFinding(replication, Both), Chart: s.chart(replication, Both, producerSide),
		},
		{
			Name: "Figure 5", Title: "Consumers, with the producer running",
			Paper: "While both run, the consumers' throughput is about the producer's.",
			Here:  s.bothFinding(replication), Chart: s.chart(replication, Both, consumersSide),
		},
		{
			Name: "Figure 6", Title: "Producer alone",
			Paper: "The producer's throughput depends strongly on the number of partitions, without consumers too.",
			Here:  s.producerFinding(replication, Write), Chart: s.chart(replication, Write, producerSide),
		},
		{
			Name: "Figure 7", Title: "Consumers on a loaded topic",
			Paper: "The consumers' total throughput grows in proportion to their number.",
			Here:  s.growthFinding(replication), Chart: s.chart(replication, Read, consumersSide),
		},
		{
			Name: "The next step", Title: "Recognition in the consumers",
			Paper: "Left for later: recognising the images where they are consumed, spread over executors.",
			Here:  s.recogniseFinding(replication), Chart: s.chart(replication, Recognise, consumersSide),
		},
	}
}

// chart returns a scenario's rates over the partitions: a line for each number of
// consumers and each reader.
func (s *Summary) chart(replication int, of Scenario, from side) Chart {
	c := Chart{X: "partitions", Y: "images/s"}
	for _, p := range s.Grid.Partitions {
		c.Ticks = append(c.Ticks, strconv.Itoa(p))
	}
	if of == Write {
		c.Series = []Series{s.series(Cell{replication, 0, Write, Nobody, 0}, from, "producer", 0)}
		return c
	}
	for i, n := range s.Grid.Consumers {
		for _, r := range []Reader{Bare, Engine} {
			c.Series = append(c.Series, s.series(Cell{replication, 0, of, r, n}, from, fmt.Sprintf("%d %s", n, r), i))
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
