// Logistic-regression finds the plane that parts two kinds of points, as Spark's example
// SparkLR does.
package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	points int
	rounds int
	seed   uint64
}

func main() {
	app := engine.NewApp("logistic-regression")
	app.Example("logistic-regression --points 1000000 --rounds 10")
	var opt options
	f := app.Flags()
	f.IntVar(&opt.points, "points", 10_000, "points that are made")
	f.IntVar(&opt.rounds, "rounds", 5, "steps of gradient descent")
	f.Uint64Var(&opt.seed, "seed", 1, "of the points and of the first weights")
	app.Batch(func(sc *rdd.Context) error {
		switch {
		case opt.points < 1:
			return fmt.Errorf("%w: --points %d is below 1", engine.ErrUsage, opt.points)
		case opt.rounds < 1:
			return fmt.Errorf("%w: --rounds %d is below 1", engine.ErrUsage, opt.rounds)
		}
		points := rdd.Map(rdd.Range(sc, 0, opt.points, 1), opt.point).Cache()
		weights, err := descend(sc, points, opt)
		if err != nil {
			return err
		}
		right, err := rdd.Count(points.Filter(weights.fit))
		if err != nil {
			return err
		}
		sc.OnDriver(func() error { return report(weights, right, opt.points) })
		return nil
	})
}

// descend begins with random weights and goes down the gradient of the loss over all points.
func descend(sc *rdd.Context, points *rdd.RDD[Point], opt options) (weights Vector, err error) {
	weights = opt.first()
	for range opt.rounds {
		gradient, err := rdd.Fold(rdd.Map(points, weights.gradient), Vector{}, Vector.Add)
		if err != nil {
			return weights, err
		}
		weights = rdd.Value(sc, func() Vector { return weights.plus(-1, gradient) }) // once, on the driver
	}
	return weights, nil
}

// Vector has one number for each dimension, as many as in Spark's example.
type Vector [10]float64

// Add adds two vectors.
func (v Vector) Add(o Vector) Vector { return v.plus(1, o) }

// plus adds factor times o.
func (v Vector) plus(factor float64, o Vector) Vector {
	for i := range v {
		v[i] += factor * o[i]
	}
	return v
}

func (v Vector) dot(o Vector) (sum float64) {
	for i := range v {
		sum += v[i] * o[i]
	}
	return sum
}

// Point is a point and of which kind it is: 1 or -1.
type Point struct {
	X    Vector
	Kind float64
}

// gradient returns the gradient of a point's loss.
func (weights Vector) gradient(p Point) Vector {
	return Vector{}.plus((1/(1+math.Exp(-p.Kind*weights.dot(p.X)))-1)*p.Kind, p.X)
}

// fit reports whether the weights say of which kind a point is.
func (weights Vector) fit(p Point) bool { return weights.dot(p.X)*p.Kind > 0 }

// point makes a point. Those of the two kinds lie around two places.
func (opt options) point(i int) Point {
	random := rand.New(rand.NewPCG(opt.seed, uint64(i)))
	p := Point{Kind: float64(1 - i%2*2)}
	for d := range p.X {
		p.X[d] = random.NormFloat64() + 0.7*p.Kind
	}
	return p
}

// first returns the weights to begin with.
func (opt options) first() (weights Vector) {
	random := rand.New(rand.NewPCG(opt.seed, uint64(opt.points)))
	for d := range weights {
		weights[d] = 2*random.Float64() - 1
	}
	return weights
}

// report prints the weights, and for how many points they are right.
func report(weights Vector, right int64, points int) error {
	_, err := fmt.Printf("weights %.3f\n%.2f %% of %d points are on their side\n", weights, 100*float64(right)/float64(points), points)
	return err
}
