// Pagerank ranks the nodes of a graph by the links that lead to them, as Spark's example
// SparkPageRank does.
package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// Rank is a node with its rank.
type Rank = rdd.Pair[int, float64]

// options are the program's flags.
type options struct {
	nodes  int
	rounds int
	top    int
	seed   uint64
}

func main() {
	app := engine.NewApp("pagerank")
	app.Example("pagerank --nodes 1000000 --rounds 10")
	var opt options
	f := app.Flags()
	f.IntVar(&opt.nodes, "nodes", 10_000, "nodes of the graph that is made")
	f.IntVar(&opt.rounds, "rounds", 10, "rounds")
	f.IntVar(&opt.top, "top", 10, "nodes that are shown")
	f.Uint64Var(&opt.seed, "seed", 1, "of the graph")
	app.Batch(func(sc *rdd.Context) error {
		best, err := rdd.TopFunc(ranks(sc, opt), opt.top, byRank)
		if err != nil {
			return err
		}
		sc.OnDriver(func() error { return report(best) })
		return nil
	})
}

// ranks gives each node the rank 1 at first. In each round a node hands its rank to the nodes
// that it links to, in equal parts, and gets one of what came to it.
func ranks(sc *rdd.Context, opt options) *rdd.RDD[Rank] {
	edges := rdd.FlatMap(rdd.Range(sc, 0, opt.nodes, 1), opt.edges)
	links := rdd.GroupByKey(rdd.Distinct(edges)).Cache()
	ranks := rdd.MapValues(links, func([]int) float64 { return 1 })
	for range opt.rounds {
		// Links and ranks are partitioned alike, so that joining them moves nothing.
		parts := rdd.FlatMap(rdd.Values(rdd.Join(links, ranks)), share)
		ranks = rdd.MapValues(rdd.ReduceByKey(parts, add), func(sum float64) float64 { return 0.15 + 0.85*sum })
	}
	return ranks
}

// share hands a node's rank to the nodes that it links to.
func share(node rdd.Joined[[]int, float64]) []Rank {
	parts := make([]Rank, len(node.Left))
	for i, to := range node.Left {
		parts[i] = rdd.KV(to, node.Right/float64(len(node.Left)))
	}
	return parts
}

func add(a, b float64) float64 { return a + b }

// edges makes the links of a node: few nodes have many, and few are linked to by many.
func (opt options) edges(node int) []rdd.Pair[int, int] {
	random := rand.New(rand.NewPCG(opt.seed, uint64(node)))
	edges := make([]rdd.Pair[int, int], min(1+int(random.ExpFloat64()*random.ExpFloat64()*5), opt.nodes))
	for i := range edges {
		u := random.Float64()
		edges[i] = rdd.KV(node, int(u*u*u*float64(opt.nodes)))
	}
	return edges
}

// byRank orders nodes by rank and, where that is the same, the first before the later ones.
func byRank(a, b Rank) int { return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(b.Key, a.Key)) }

// report prints nodes.
func report(best []Rank) error {
	for _, r := range best {
		if _, err := fmt.Printf("%8d %10.3f\n", r.Key, r.Value); err != nil {
			return err
		}
	}
	return nil
}
