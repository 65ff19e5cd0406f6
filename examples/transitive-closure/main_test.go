package main

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestTransitiveClosure(t *testing.T) {
	graph, err := generate(60, 50, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := enginetest.BatchResult(t, func(sc *rdd.Context) ([]Edge, error) {
		paths, n, err := closure(rdd.Parallelize(sc, graph))
		if err != nil {
			return nil, err
		}
		all, err := rdd.Collect(paths)
		if int(n) != len(all) {
			t.Errorf("%d paths were counted, there are %d", n, len(all))
		}
		return all, err
	})
	slices.SortFunc(got, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value)) })
	if want := warshall(graph, 50); !slices.Equal(got, want) || len(got) <= len(graph) {
		t.Errorf("the closure is\n%v, a loop says\n%v", got, want)
	}
}

// warshall is closure without the engine.
func warshall(graph []Edge, nodes int) (paths []Edge) {
	leads := make(map[Edge]bool)
	for _, e := range graph {
		leads[e] = true
	}
	for over := range nodes {
		for from := range nodes {
			for to := range nodes {
				if leads[rdd.KV(from, over)] && leads[rdd.KV(over, to)] {
					leads[rdd.KV(from, to)] = true
				}
			}
		}
	}
	for from := range nodes {
		for to := range nodes {
			if leads[rdd.KV(from, to)] {
				paths = append(paths, rdd.KV(from, to))
			}
		}
	}
	return paths
}

func TestBadGraphs(t *testing.T) {
	for _, c := range [][2]int{{-1, 10}, {1, 1}, {7, 3}} {
		if _, err := generate(c[0], c[1], 1); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%d edges between %d nodes: %v", c[0], c[1], err)
		}
	}
}
