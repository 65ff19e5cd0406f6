package paper

import (
	"fmt"
	"slices"
	"strconv"
)

// Figure is one of the paper's figures, measured here.
type Figure struct {
	File  string // name of its drawing, without what ends it
	Name  string // "Figure 4", as the paper counts, by the scenario that we take it to show
	Title string
	Paper string // what the paper found, in words: its text states no numbers
	Finding
	Chart Chart
	Table Table
}

// side is from where a run is seen.
type side string

const (
	producerSide  side = "the producer"
	consumersSide side = "all consumers"
)

// of returns what a cell's side measured.
func (s side) of(c CellSummary) Stat {
	if s == producerSide {
		return c.Producer
	}
	return c.Consumers
}

// axis says what a chart of the side shows.
func (s side) axis() string { return "images/s of " + string(s) }

// Figures returns the figures of one Kafka: the paper's four, and that of the
// step that it left for later.
func (s *Summary) Figures(k Setup) []Figure {
	return []Figure{
		s.figure(k, Both, producerSide, Figure{
			File: "figure-4", Name: "Figure 4, as we read it", Title: "Producer, with consumers running",
			Paper:   "The producer's throughput depends strongly on the number of partitions, also while consumers read.",
			Finding: s.producerFinding(k, Both),
		}),
		s.figure(k, Both, consumersSide, Figure{
			File: "figure-5", Name: "Figure 5, as we read it", Title: "Consumers, with the producer running",
			Paper:   "While both run, the consumers' throughput is about the producer's.",
			Finding: s.bothFinding(k),
		}),
		s.figure(k, Write, producerSide, Figure{
			File: "figure-6", Name: "Figure 6, as we read it", Title: "Producer alone",
			Paper:   "The producer's throughput depends strongly on the number of partitions, without consumers too.",
			Finding: s.producerFinding(k, Write),
		}),
		s.figure(k, Read, consumersSide, Figure{
			File: "figure-7", Name: "Figure 7, as we read it", Title: "Consumers on a loaded topic",
			Paper:   "The consumers' total throughput grows in proportion to their number.",
			Finding: s.growthFinding(k),
		}),
		s.figure(k, Recognise, consumersSide, Figure{
			File: "recognition", Name: "The next step", Title: "Recognition in the consumers",
			Paper:   "Left for later: recognising the images where they are consumed, spread over executors.",
			Finding: s.recogniseFinding(k),
		}),
	}
}

// figure returns a figure with its chart and its numbers.
func (s *Summary) figure(k Setup, of Scenario, from side, f Figure) Figure {
	f.Chart, f.Table = s.chart(k, of, from), s.table(k, of, from)
	if f.Finding == notMeasured && !f.Chart.empty() {
		f.Finding = tooLittle
	}
	if from == consumersSide {
		f.Here += s.besideBare(k, of)
	}
	return f
}

// Across returns the figure over the Kafkas that are measured, nil if there is one only.
func (s *Summary) Across() *Figure {
	setups := s.Grid.Setups()
	if len(setups) < 2 {
		return nil
	}
	c := Chart{X: "brokers / replication", Y: "images/s", Series: []Series{{Name: "written"}, {Name: "read, bare", Color: 1}, {Name: "read, engine", Color: 1, Dashed: true}}}
	t := Table{Head: []string{"brokers", "replication", "written", "read, bare", "read, engine"}}
	for _, k := range setups {
		c.Ticks = append(c.Ticks, fmt.Sprintf("%d / %d", k.Nodes, k.Replication))
		row := []string{strconv.Itoa(k.Nodes), strconv.Itoa(k.Replication)}
		for i, at := range s.mostOf(k) {
			c.Series[i].Points = append(c.Series[i].Points, at.side.of(at.CellSummary))
			row = append(row, at.text(at.side))
		}
		t.Rows = append(t.Rows, row)
	}
	found := s.setupsFinding()
	if found == notMeasured && !c.empty() {
		found = tooLittle
	}
	return &Figure{
		File: "several-brokers", Name: "The other next step", Title: "Several brokers", Paper: "Left for later: a Kafka of several nodes.",
		Finding: found, Chart: c, Table: t,
	}
}

// sideOf is a cell from one side.
type sideOf struct {
	CellSummary
	side side
}

// mostOf returns what stands for a Kafka beside others: a producer alone and the most
// consumers on a loaded topic, bare and the engine, with the most partitions.
func (s *Summary) mostOf(k Setup) [3]sideOf {
	partitions, consumers := slices.Max(s.Grid.Partitions), slices.Max(s.Grid.Consumers)
	return [3]sideOf{
		{s.Of(Cell{k, partitions, Write, Nobody, 0}), producerSide},
		{s.Of(Cell{k, partitions, Read, Bare, consumers}), consumersSide},
		{s.Of(Cell{k, partitions, Read, Engine, consumers}), consumersSide},
	}
}

// chart returns a scenario's rates over the partitions: a line for each number of
// consumers and each reader.
func (s *Summary) chart(k Setup, of Scenario, from side) Chart {
	c := Chart{X: "partitions", Y: from.axis()}
	for _, p := range s.Grid.Partitions {
		c.Ticks = append(c.Ticks, strconv.Itoa(p))
	}
	if of == Write {
		c.Series = []Series{s.series(Cell{k, 0, Write, Nobody, 0}, from, Series{Name: "producer"})}
		return c
	}
	for i, n := range s.Grid.Consumers {
		for _, r := range []Reader{Bare, Engine} {
			c.Series = append(c.Series, s.series(Cell{k, 0, of, r, n}, from, Series{Name: count(n, "consumer"), Row: string(r), Color: i, Dashed: r == Engine}))
		}
	}
	return c
}

// series returns a line with the rates of a cell over the partitions.
func (s *Summary) series(c Cell, from side, line Series) Series {
	for _, p := range s.Grid.Partitions {
		c.Partitions = p
		line.Points = append(line.Points, from.of(s.Of(c)))
	}
	return line
}

// Table is a figure's numbers.
type Table struct {
	Head []string
	Rows [][]string
}

// table returns a scenario's rates: a line for each number of partitions and of consumers.
func (s *Summary) table(k Setup, of Scenario, from side) Table {
	if of == Write {
		t := Table{Head: []string{"partitions", "images/s"}}
		for _, p := range s.Grid.Partitions {
			t.Rows = append(t.Rows, []string{strconv.Itoa(p), s.Of(Cell{k, p, Write, Nobody, 0}).text(from)})
		}
		return t
	}
	t := Table{Head: []string{"partitions", "consumers", "bare", "engine", "engine / bare"}}
	if from == producerSide {
		t.Head = []string{"partitions", "consumers", "beside bare consumers", "beside the engine"}
	}
	for _, p := range s.Grid.Partitions {
		for _, n := range s.Grid.Consumers {
			bare, engine := s.Of(Cell{k, p, of, Bare, n}), s.Of(Cell{k, p, of, Engine, n})
			row := []string{strconv.Itoa(p), strconv.Itoa(n), bare.text(from), engine.text(from)}
			if from == consumersSide {
				row = append(row, ratio(engine.Consumers, bare.Consumers))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// text writes what one side of a cell measured.
func (c CellSummary) text(from side) string {
	switch v := from.of(c); {
	case v.N > 0:
		return v.String()
	case c.Failed != "":
		return "failed"
	}
	return "not measured"
}

// ratio writes one median by another, nothing if one of them is missing.
func ratio(of, by Stat) string {
	if of.N == 0 || by.N == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", of.Median/by.Median)
}
