// Transitive-closure finds which nodes of a graph can be reached from which, as Spark's
// example SparkTC does.
package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// Edge leads from a node, its key, to another one.
type Edge = rdd.Pair[int, int]

func main() {
	app := engine.NewApp("transitive-closure")
	app.Example("transitive-closure --edges 400 --nodes 300")
	edges := app.Flags().Int("edges", 200, "edges of the graph that is made")
	nodes := app.Flags().Int("nodes", 100, "nodes of the graph")
	seed := app.Flags().Uint64("seed", 42, "of the graph")
	app.Batch(func(sc *rdd.Context) error {
		graph, err := generate(*edges, *nodes, *seed)
		if err != nil {
			return err
		}
		_, n, err := closure(rdd.Parallelize(sc, graph))
		if err != nil {
			return err
		}
		sc.OnDriver(func() error {
			_, err := fmt.Printf("the closure of %d edges has %d\n", len(graph), n)
			return err
		})
		return nil
	})
}

// closure adds to the paths that are known those that are longer by an edge, until there are
// none, and returns them with their number.
func closure(edges *rdd.RDD[Edge]) (paths *rdd.RDD[Edge], n int64, err error) {
	// Paths are joined by where they begin with the edges by where these end.
	ends := rdd.PartitionBy(rdd.Map(edges, turned)).Cache()
	paths = edges.Cache()
	for known := int64(-1); n != known; {
		known = n
		longer := rdd.Map(rdd.Join(paths, ends), func(at rdd.Pair[int, rdd.Joined[int, int]]) Edge {
			return rdd.KV(at.Value.Right, at.Value.Left)
		})
		// As many partitions as before: those of a union add up.
		paths = rdd.Distinct(paths.Union(longer), rdd.Partitions(edges.NumPartitions())).Cache()
		if n, err = rdd.Count(paths); err != nil {
			return nil, 0, err
		}
	}
	return paths, n, nil
}

func turned(e Edge) Edge { return rdd.KV(e.Value, e.Key) }

// generate returns a graph of edges between different nodes.
func generate(edges, nodes int, seed uint64) ([]Edge, error) {
	if edges < 0 || nodes < 2 || edges > nodes*(nodes-1) {
		return nil, fmt.Errorf("%w: --edges %d: between %d nodes there are up to %d, and two nodes at least", engine.ErrUsage, edges, nodes, nodes*(nodes-1))
	}
	random := rand.New(rand.NewPCG(seed, 0))
	has := make(map[Edge]bool)
	graph := make([]Edge, 0, edges)
	for len(graph) < edges {
		e := rdd.KV(random.IntN(nodes), random.IntN(nodes))
		if e.Key != e.Value && !has[e] {
			graph, has[e] = append(graph, e), true
		}
	}
	return graph, nil
}
