// Package paper repeats the measurement that the engine began with: images through
// Kafka, over partitions and consumers, in the paper's three scenarios and with the
// step that it left for later, recognition in the consumers.
//
// It decides what is measured and in which order (grid.go), goes through it and goes on
// where it stopped (run.go), keeps what was measured (results.go) and reports it
// (summary.go, findings.go, figures.go, svg.go, report.go). It measures nothing itself:
// that is a [Bench]'s.
package paper
