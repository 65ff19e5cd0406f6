package main

import (
	"context"
	"flag"
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/rdd"
)

// linksPerNode is how many links linksOf makes of a node, as a mean.
const linksPerNode = 8

// linksOf returns the nodes that a node links to. How many they are, and how many link to a
// node, have the long tails of a power law.
func linksOf(node, nodes int64) []int64 {
	links := make([]int64, min(64, 1+int64(linksPerNode/2/math.Sqrt(unit(node)))))
	for i := range links {
		u := unit(node<<6 + int64(i))
		links[i] = int64(u * u * u * float64(nodes))
	}
	return links
}

// unit returns a number between 0 and 1 that looks random.
func unit(i int64) float64 { return (float64(scrambled(i)>>12) + 0.5) / (1 << 52) }

// rankOf returns a node's rank, given what came to it.
func rankOf(sum float64) float64 { return 0.15 + 0.85*sum }

// runPageRank measures how fast the nodes of a graph are ranked.
func runPageRank(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	flags := newIterations(f, "nodes of the graph, with some 8 links each", 1_000_000, 10)
	if err := parse(f, args, aboveOfIterations()...); err != nil {
		return nil, err
	}
	return compareLoop(ctx, flags, "a loop over slices, one core", func(sc *rdd.Context) ([]rdd.Pair[int64, float64], error) {
		return rdd.Collect(pageRank(sc, *flags.records, *flags.iterations, rdd.Partitions(*flags.partitions)))
	}, func() []rdd.Pair[int64, float64] {
		return pageRankLoop(*flags.records, *flags.iterations)
	}, differentRanks)
}

// pageRank ranks nodes as examples/pagerank does.
func pageRank(sc *rdd.Context, nodes int64, iterations int, partitions rdd.ShuffleOption) *rdd.RDD[rdd.Pair[int64, float64]] {
	edges := rdd.FlatMap(rdd.Range(sc, 0, nodes, 1, partitions), func(node int64) []rdd.Pair[int64, int64] {
		links := linksOf(node, nodes)
		edges := make([]rdd.Pair[int64, int64], len(links))
		for i, to := range links {
			edges[i] = rdd.KV(node, to)
		}
		return edges
	})
	links := rdd.GroupByKey(edges, partitions).Cache()
	ranks := rdd.MapValues(links, func([]int64) float64 { return 1 })
	for range iterations {
		parts := rdd.FlatMap(rdd.Values(rdd.Join(links, ranks)), func(node rdd.Joined[[]int64, float64]) []rdd.Pair[int64, float64] {
			parts := make([]rdd.Pair[int64, float64], len(node.Left))
			for i, to := range node.Left {
				parts[i] = rdd.KV(to, node.Right/float64(len(node.Left)))
			}
			return parts
		})
		ranks = rdd.MapValues(rdd.ReduceByKey(parts, func(a, b float64) float64 { return a + b }, partitions), rankOf)
	}
	return ranks
}

// pageRankLoop is pageRank without the engine.
func pageRankLoop(nodes int64, iterations int) (ranked []rdd.Pair[int64, float64]) {
	links, ranks := make([][]int64, nodes), make([]float64, nodes)
	for node := range links {
		links[node], ranks[node] = linksOf(int64(node), nodes), 1
	}
	for range iterations {
		sums := make([]float64, nodes) // 0 of nodes that nothing came to, which are out
		for node, to := range links {
			for _, to := range to {
				sums[to] += ranks[node] / float64(len(links[node]))
			}
		}
		for node, sum := range sums {
			if ranks[node] = 0; sum > 0 {
				ranks[node] = rankOf(sum)
			}
		}
	}
	for node, rank := range ranks {
		if rank > 0 {
			ranked = append(ranked, rdd.KV(int64(node), rank))
		}
	}
	return ranked
}

// differentRanks says in which node the ranks differ.
func differentRanks(got, want []rdd.Pair[int64, float64]) (int, error) {
	ranks := make(map[int64]float64, len(got))
	for _, r := range got {
		ranks[r.Key] = r.Value
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("the engine ranked %d nodes, the baseline %d", len(got), len(want))
	}
	for _, r := range want {
		if math.Abs(ranks[r.Key]-r.Value) > 1e-9*r.Value {
			return 0, fmt.Errorf("the engine gave node %d the rank %v, the baseline %v", r.Key, ranks[r.Key], r.Value)
		}
	}
	return len(got), nil
}
