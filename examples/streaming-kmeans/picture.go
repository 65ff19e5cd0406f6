package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
)

// digits are what clusters are drawn with.
const digits = "0123456789abcdefghijklmnopqrstuvwxyz"

// The picture is of the points up to reach from the middle, in rows that are twice as high as
// columns are wide.
const (
	reach         = 12
	columns, rows = 48, 24
)

// Place is one of the picture.
type Place struct{ Column, Row int }

// Cell is a place of the picture, and which cluster's points in it are meant.
type Cell struct {
	Cluster int
	Place   Place
}

// placeOf returns where a point is drawn: one that is out of reach at the edge.
func placeOf(p []float64) Place {
	scaled := func(v float64, n int) int { return int(min(max((v+reach)/(2*reach), 0)*float64(n), float64(n-1))) }
	return Place{scaled(p[0], columns), rows - 1 - scaled(p[1], rows)}
}

// picture draws each place as the cluster that has most points there, and the centres as +.
func picture(cells []rdd.Pair[Cell, Tally]) string {
	lines := make([][]byte, rows)
	for i := range lines {
		lines[i] = bytes.Repeat([]byte(" "), columns)
	}
	most := make(map[Place]int)
	for _, c := range cells {
		if at := c.Key.Place; c.Value.Points > most[at] {
			most[at] = c.Value.Points
			lines[at.Row][at.Column] = digits[c.Key.Cluster]
		}
	}
	for _, c := range cells {
		at := placeOf(c.Value.Centre[:])
		lines[at.Row][at.Column] = '+'
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "|%s|\n", l)
	}
	return b.String()
}

// table says of each cluster that has points how many, how far from the centre, and where that is.
func table(cells []rdd.Pair[Cell, Tally]) string {
	byCluster, all := make(map[int]Tally), Tally{}
	for _, c := range cells {
		byCluster[c.Key.Cluster] = byCluster[c.Key.Cluster].add(c.Value)
		all = all.add(c.Value)
	}
	b := fmt.Appendf(nil, "%7s %8s %14s %8s\n", "cluster", "points", "mean distance", "centre")
	for _, i := range slices.Sorted(maps.Keys(byCluster)) {
		t := byCluster[i]
		b = fmt.Appendf(b, "%7c %8d %14.2f %8.2f %6.2f\n", digits[i], t.Points, t.mean(), t.Centre[0], t.Centre[1])
	}
	return string(fmt.Appendf(b, "%7s %8d %14.2f\n", "all", all.Points, all.mean()))
}

// mean returns how far from the centre the points are.
func (t Tally) mean() float64 { return t.Distance / float64(t.Points) }
