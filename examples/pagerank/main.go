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
	nodes       int
	rounds      int
	top         int
	seed        uint64
	checkpoints string
	every       int

	// after is given the ranks of each round and may change them, for tests; nil for none.
	after func(round int, ranks *rdd.RDD[Rank]) *rdd.RDD[Rank]
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
	f.StringVar(&opt.checkpoints, "checkpoints", "", "a `directory` that all machines see, or the URL of a bucket, for the ranks of every few rounds; if there are any the program goes on from them")
	f.IntVar(&opt.every, "every", 5, "rounds between two checkpoints")
	app.Batch(func(sc *rdd.Context) error {
		if err := opt.check(); err != nil {
			return err
		}
		ranks, err := ranks(sc, opt)
		if err != nil {
			return err
		}
		best, err := rdd.TopFunc(ranks, opt.top, byRank)
		if err != nil {
			return err
		}
		sc.OnDriver(func() error { return report(best) })
		return nil
	})
}

// check reports what is wrong with the flags.
func (opt options) check() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"nodes", opt.nodes}, {"rounds", opt.rounds}, {"top", opt.top}, {"every", opt.every}} {
		if f.value < 1 {
			return fmt.Errorf("%w: --%s %d is below 1", engine.ErrUsage, f.name, f.value)
		}
	}
	return nil
}

// ranks gives each node the rank 1 at first. In each round a node hands its rank to the nodes
// that it links to, in equal parts, and gets one of what came to it.
func ranks(sc *rdd.Context, opt options) (*rdd.RDD[Rank], error) {
	edges := rdd.FlatMap(rdd.Range(sc, 0, opt.nodes, 1), opt.edges)
	links := rdd.GroupByKey(rdd.Distinct(edges)).Cache()
	ranks, round, err := opt.begin(sc, links)
	for err == nil && round < opt.rounds {
		// Links and ranks are partitioned alike, so that joining them moves nothing.
		parts := rdd.FlatMap(rdd.Values(rdd.Join(links, ranks)), share)
		ranks = rdd.MapValues(rdd.ReduceByKey(parts, add), func(sum float64) float64 { return 0.15 + 0.85*sum })
		if round++; opt.after != nil {
			ranks = opt.after(round, ranks)
		}
		if opt.checkpoints != "" && round%opt.every == 0 {
			ranks, err = ranks.CheckpointAs("ranks", round)
		}
	}
	return ranks, err
}

// begin returns the ranks of the round to begin with: the last one that a run before has
// kept, or the first.
func (opt options) begin(sc *rdd.Context, links *rdd.RDD[rdd.Pair[int, []int]]) (ranks *rdd.RDD[Rank], round int, err error) {
	if opt.checkpoints != "" {
		sc.SetCheckpointDir(opt.checkpoints)
		if ranks, round, err = rdd.LastCheckpoint[Rank](sc, "ranks"); err != nil {
			return nil, 0, err
		}
	}
	if round == 0 {
		return rdd.MapValues(links, func([]int) float64 { return 1 }), 0, nil
	}
	sc.OnDriver(func() error {
		_, err := fmt.Println("going on after round", round)
		return err
	})
	return ranks, round, nil
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
