// Pi estimates the number by throwing points at a square and counting those within the
// circle, as Spark's example SparkPi does.
package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

func main() {
	app := engine.NewApp("pi")
	app.Example("pi --points 1000000000 --master local[4]")
	points := app.Flags().Uint64("points", 10_000_000, "points that are thrown")
	seed := app.Flags().Uint64("seed", 1, "of the random numbers")
	app.Batch(func(sc *rdd.Context) error {
		estimate, err := pi(sc, *points, *seed)
		if err != nil {
			return err
		}
		sc.OnDriver(func() error {
			_, err := fmt.Println("pi is roughly", estimate)
			return err
		})
		return nil
	})
}

// pi throws points at the square around the unit circle, of which pi/4 lies within.
func pi(sc *rdd.Context, points, seed uint64) (float64, error) {
	if points == 0 {
		return 0, fmt.Errorf("%w: --points is 0", engine.ErrUsage)
	}
	within := rdd.Range(sc, 0, points, 1).Filter(func(i uint64) bool { return inCircle(seed, i) })
	n, err := rdd.Count(within)
	return 4 * float64(n) / float64(points), err
}

// inCircle throws a point. Its random numbers depend on the seed and its own number alone,
// so that a task that is tried again, or runs elsewhere, throws the same points.
func inCircle(seed, point uint64) bool {
	random := rand.NewPCG(seed, point)
	x, y := coordinate(random), coordinate(random)
	return x*x+y*y <= 1
}

// coordinate returns a number from -1 to 1.
func coordinate(random *rand.PCG) float64 { return float64(int64(random.Uint64())) / (1 << 63) }
