package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
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

// What isn't possible is said before anything runs.
func TestBadFlags(t *testing.T) {
	good := options{nodes: 1, rounds: 1, top: 1, every: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*options){
		"--nodes 0 is below 1":   func(o *options) { o.nodes = 0 },
		"--rounds -1 is below 1": func(o *options) { o.rounds = -1 },
		"--top 0 is below 1":     func(o *options) { o.top = 0 },
		"--every 0 is below 1":   func(o *options) { o.every = 0 },
	} {
		opt := good
		change(&opt)
		if err := opt.check(); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
