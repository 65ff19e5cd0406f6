package main

import (
	"math"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestPageRank(t *testing.T) {
	opt := options{nodes: 500, rounds: 8, seed: 2}
	got := enginetest.BatchResult(t, func(sc *rdd.Context) (map[int]float64, error) {
		ranks, err := ranks(sc, opt)
		if err != nil {
			return nil, err
		}
		return rdd.CollectAsMap(ranks)
	})
	want := loop(opt)
	if len(got) != len(want) {
		t.Errorf("%d nodes have a rank, a loop says %d", len(got), len(want))
	}
	for node, rank := range want {
		if math.Abs(got[node]-rank) > 1e-9*rank {
			t.Errorf("node %d has rank %v, a loop says %v", node, got[node], rank)
		}
	}
}

// loop is ranks without the engine.
func loop(opt options) map[int]float64 {
	links, ranks := make(map[int][]int), make(map[int]float64)
	for node := range opt.nodes {
		for _, e := range opt.edges(node) {
			if !slices.Contains(links[node], e.Value) {
				links[node] = append(links[node], e.Value)
			}
		}
		ranks[node] = 1
	}
	for range opt.rounds {
		sums := make(map[int]float64)
		for node, rank := range ranks {
			for _, to := range links[node] {
				sums[to] += rank / float64(len(links[node]))
			}
		}
		ranks = make(map[int]float64)
		for node, sum := range sums {
			ranks[node] = 0.15 + 0.85*sum
		}
	}
	return ranks
}

// A node hands equal parts to those it links to.
func TestShare(t *testing.T) {
	got := share(rdd.Joined[[]int, float64]{Left: []int{3, 1}, Right: 0.5})
	if want := []Rank{{Key: 3, Value: 0.25}, {Key: 1, Value: 0.25}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
