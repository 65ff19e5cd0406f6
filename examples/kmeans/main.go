// Kmeans finds the centres of clusters of points, as Spark's example SparkKMeans does.
package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	points   int
	k        int
	rounds   int
	converge float64
	seed     uint64
}

func main() {
	app := engine.NewApp("kmeans")
	app.Example("kmeans --points 1000000 --k 8")
	var opt options
	f := app.Flags()
	f.IntVar(&opt.points, "points", 100_000, "points that are made")
	f.IntVar(&opt.k, "k", 5, "clusters, of the points and to be found")
	f.IntVar(&opt.rounds, "rounds", 100, "rounds at most")
	f.Float64Var(&opt.converge, "converge", 0.001, "end when the centres move by less than this in a round, all together")
	f.Uint64Var(&opt.seed, "seed", 1, "of the points and of the first centres")
	app.Batch(func(sc *rdd.Context) error {
		centres, err := kmeans(sc, opt)
		if err != nil {
			return err
		}
		sc.OnDriver(func() error { return report(centres) })
		return nil
	})
}

// kmeans begins with some of the points as centres, and moves each centre to the mean of the
// points that are nearest to it, until none moves any more.
func kmeans(sc *rdd.Context, opt options) ([]Point, error) {
	switch {
	case opt.k < 1 || opt.points < opt.k:
		return nil, fmt.Errorf("%w: --k %d is not from 1 to the %d of --points", engine.ErrUsage, opt.k, opt.points)
	case opt.rounds < 0:
		return nil, fmt.Errorf("%w: --rounds %d is below 0", engine.ErrUsage, opt.rounds)
	case !(opt.converge >= 0):
		return nil, fmt.Errorf("%w: --converge %g is below 0", engine.ErrUsage, opt.converge)
	}
	points := rdd.Map(rdd.Range(sc, 0, opt.points, 1), opt.point).Cache()
	centres, err := rdd.TakeSample(points, opt.k, opt.seed)
	if err != nil {
		return nil, err
	}
	for range opt.rounds {
		sums, err := rdd.CollectAsMap(rdd.ReduceByKey(rdd.Map(points, nearest(centres)), Sum.Add))
		if err != nil {
			return nil, err
		}
		next := rdd.Value(sc, func() round { return move(centres, sums) }) // once, on the driver
		if centres = next.Centres; next.Moved < opt.converge {
			break
		}
	}
	return centres, nil
}

// nearest returns the function that puts a point to the centre that is nearest to it.
func nearest(centres []Point) func(Point) rdd.Pair[int, Sum] {
	return func(p Point) rdd.Pair[int, Sum] {
		best := 0
		for i, c := range centres {
			if p.distance(c) < p.distance(centres[best]) {
				best = i
			}
		}
		return rdd.KV(best, Sum{1, p})
	}
}

// round is what a round leads to.
type round struct {
	Centres []Point
	Moved   float64 // by how much, all together
}

// move moves each centre to the mean of its points; one that has none stays.
func move(centres []Point, sums map[int]Sum) (r round) {
	for i, c := range centres {
		mean := c
		if s, ok := sums[i]; ok {
			mean = Point{s.Of.X / float64(s.N), s.Of.Y / float64(s.N)}
		}
		r.Centres = append(r.Centres, mean)
		r.Moved += c.distance(mean)
	}
	return r
}

// point makes a point near one of k places on a circle.
func (opt options) point(i int) Point {
	random := rand.New(rand.NewPCG(opt.seed, uint64(i)))
	angle := 2 * math.Pi * float64(random.IntN(opt.k)) / float64(opt.k)
	return Point{10*math.Cos(angle) + random.NormFloat64(), 10*math.Sin(angle) + random.NormFloat64()}
}

// Point is a place in the plane.
type Point struct{ X, Y float64 }

func (p Point) distance(q Point) float64 { return math.Hypot(p.X-q.X, p.Y-q.Y) }

// Sum is a number of points and what they add up to.
type Sum struct {
	N  int
	Of Point
}

// Add adds two sums.
func (s Sum) Add(o Sum) Sum { return Sum{s.N + o.N, Point{s.Of.X + o.Of.X, s.Of.Y + o.Of.Y}} }

// report prints the centres, counter-clockwise.
func report(centres []Point) error {
	slices.SortFunc(centres, func(a, b Point) int { return cmp.Compare(math.Atan2(a.Y, a.X), math.Atan2(b.Y, b.X)) })
	for _, c := range centres {
		if _, err := fmt.Printf("%8.3f %8.3f\n", c.X, c.Y); err != nil {
			return err
		}
	}
	return nil
}
