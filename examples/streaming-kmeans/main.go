// Streaming-kmeans learns where clusters of points are while they move, and draws them, after
// Spark's StreamingKMeansExample.
//
//	go run ./examples/streaming-kmeans
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/ml/streaming"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	topic    string
	k        int
	halfLife float64
	decay    float64
	unit     string
	seed     uint64
	points   int
	rate     float64
	turn     time.Duration
}

func main() {
	app := engine.NewApp("streaming-kmeans")
	app.Example("streaming-kmeans --half-life 5 --points 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "points", "topic of the points, JSON as [x, y]")
	f.IntVar(&opt.k, "k", 3, "clusters that are made up, and that are looked for")
	f.Float64Var(&opt.decay, "decay", 0.5, "what is left, after a --unit, of the weight of what was learned: 1 forgets nothing, 0 everything")
	f.Float64Var(&opt.halfLife, "half-life", 0, "after so many --unit what was learned counts half, in place of --decay; 0: as --decay says")
	f.StringVar(&opt.unit, "unit", "batches", "what --decay and --half-life count: batches or points")
	f.Uint64Var(&opt.seed, "seed", 1, "of the centres to begin with, and of the points")
	f.IntVar(&opt.points, "points", 40_000, "points that are made up and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 4000, "of these, points per second")
	f.DurationVar(&opt.turn, "turn", time.Minute, "of these, how long the clusters take to go round; 0: they stand still")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error { return declare(ssc, opt) })
}

// declare declares the program.
func declare(ssc *engine.StreamingContext, opt options) error {
	made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.points, Flag: "points", Record: opt.record}
	forget, err := opt.forgetting()
	switch err := cmp.Or(err, made.Check(ssc)); {
	case err != nil:
		return err
	case opt.k < 1 || opt.k > len(digits):
		return fmt.Errorf("%w: --k %d is not from 1 to %d", engine.ErrUsage, opt.k, len(digits))
	case opt.turn < 0:
		return fmt.Errorf("%w: --turn %s is below 0", engine.ErrUsage, opt.turn)
	}
	points := kafka.Direct(ssc, kafka.Subscribe(opt.topic), decode).Cache() // learned, and drawn
	found := clusters(points, streaming.RandomCenters(opt.k, 2, opt.seed), forget)
	engine.ForEachBatch(found, func(b engine.Batch, cells []rdd.Pair[Cell, Tally]) error {
		if len(cells) == 0 {
			return nil
		}
		_, err := fmt.Fprintf(os.Stdout, "batch %d at %s\n%s%s\n", b.Seq, b.Time.Format("15:04:05.000"), picture(cells), table(cells))
		return err
	})
	made.Declare(ssc, 2*time.Second)
	return nil
}

// forgetting returns how what was learned is forgotten.
func (opt options) forgetting() (streaming.KMeansOption, error) {
	unit, known := map[string]streaming.TimeUnit{"batches": streaming.Batches, "points": streaming.Points}[opt.unit]
	switch {
	case !known:
		return nil, fmt.Errorf("%w: --unit %q is neither batches nor points", engine.ErrUsage, opt.unit)
	case !(opt.halfLife >= 0):
		return nil, fmt.Errorf("%w: --half-life %g is below 0", engine.ErrUsage, opt.halfLife)
	case opt.halfLife > 0:
		return streaming.HalfLife(opt.halfLife, unit), nil
	case !(opt.decay >= 0 && opt.decay <= 1):
		return nil, fmt.Errorf("%w: --decay %g is not from 0, which forgets everything, to 1, which forgets nothing", engine.ErrUsage, opt.decay)
	}
	return streaming.DecayFactor(opt.decay, unit), nil
}

// decode reads a point, [x, y].
func decode(r *kafka.Record) ([]float64, error) {
	var p []float64
	if err := json.Unmarshal(r.Value, &p); err != nil {
		return nil, err
	}
	if len(p) != 2 {
		return nil, fmt.Errorf("the point has %d coordinates, not 2", len(p))
	}
	return p, nil
}

// clusters teaches a model the points, and yields how many of them are in each cell of the
// picture and how far from their centres. The centres are those that were learned up to the batch
// before.
func clusters(points *engine.DStream[[]float64], start streaming.KMeansState, forget streaming.KMeansOption) *engine.DStream[rdd.Pair[Cell, Tally]] {
	model := streaming.NewKMeans(points.Context(), "clusters", start, forget)
	model.TrainOn(points)
	// PredictOn would yield the clusters' numbers; Apply has the points and the centres as well.
	nearest := streaming.Apply(points, model.Model(), func(s *streaming.KMeansState, p []float64) (rdd.Pair[Cell, Tally], error) {
		i := s.Predict(p)
		centre := [2]float64(s.Centers[i])
		return rdd.KV(Cell{i, placeOf(p)}, Tally{1, math.Hypot(p[0]-centre[0], p[1]-centre[1]), centre}), nil
	})
	return engine.ReduceByKey(nearest, Tally.add)
}

// Tally is what is known of points that have one centre.
type Tally struct {
	Points   int
	Distance float64 // from the centre, all together
	Centre   [2]float64
}

func (t Tally) add(o Tally) Tally {
	return Tally{t.Points + o.Points, t.Distance + o.Distance, o.Centre}
}

// radius is how far the clusters are from the middle.
const radius = 8

// record makes up a point near one of the clusters, which go round.
func (opt options) record(i int) (key string, value any) {
	random := rand.New(rand.NewPCG(opt.seed, uint64(i)))
	turns := float64(random.IntN(opt.k)) / float64(opt.k)
	if opt.turn > 0 {
		turns += float64(i) / opt.rate / opt.turn.Seconds()
	}
	sin, cos := math.Sincos(2 * math.Pi * turns)
	return strconv.Itoa(i), []float64{radius*cos + random.NormFloat64(), radius*sin + random.NormFloat64()}
}
