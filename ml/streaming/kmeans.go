package streaming

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine"
)

// TimeUnit says what a decay counts.
type TimeUnit int

// The units of time.
const (
	Batches TimeUnit = iota // a batch is one unit, whatever it holds
	Points                  // a point is one unit
)

// KMeansState is what k-means has learned.
type KMeansState struct {
	Format  int         `msgpack:"v"`
	Centers [][]float64 `msgpack:"c"`
	Weights []float64   `msgpack:"w"` // one for each center: of the points behind it, decayed
}

// KMeans is MLlib's StreamingKMeans: a mini-batch k-means that forgets. With
// c the centers, n their weights, and m points of the batch nearest to one, whose
// mean is x, a batch makes of each
//
//	c' = (c·n·a + x·m) / (n·a + m),  n' = n·a + m
//
// where a is the decay: 1 forgets nothing, 0 everything.
type KMeans struct {
	model *engine.Model[*KMeansState]
	decay float64
	unit  TimeUnit
}

// KMeansOption is an option of NewKMeans.
type KMeansOption func(k *KMeans) error

// DecayFactor sets the decay per unit of time, from 0 to 1. The default is 1
// per batch.
func DecayFactor(a float64, unit TimeUnit) KMeansOption {
	return func(k *KMeans) error {
		if !(a >= 0 && a <= 1) {
			return fmt.Errorf("the decay factor is %v, it must be from 0 to 1", a)
		}
		k.decay, k.unit = a, unit
		return nil
	}
}

// HalfLife sets the decay so that what is learned counts half after the given
// number of units.
func HalfLife(units float64, unit TimeUnit) KMeansOption {
	if !(units > 0) {
		return func(*KMeans) error { return fmt.Errorf("the half-life is %v, it must be above 0", units) }
	}
	return DecayFactor(math.Exp(math.Log(0.5)/units), unit)
}

// RandomCenters returns k centers with normally distributed coordinates and no
// weight, determined by the seed.
func RandomCenters(k, dim int, seed uint64) KMeansState {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := KMeansState{Weights: make([]float64, k)}
	for range k {
		c := make([]float64, dim)
		for i := range c {
			c[i] = rng.NormFloat64()
		}
		s.Centers = append(s.Centers, c)
	}
	return s
}

// NewKMeans declares a model that starts from the given centers.
func NewKMeans(ssc *engine.StreamingContext, name string, start KMeansState, opts ...KMeansOption) *KMeans {
	k := &KMeans{decay: 1}
	op := "streaming.NewKMeans " + name
	for _, o := range opts {
		if err := o(k); err != nil {
			ssc.Fail(op, err)
		}
	}
	start.Format = stateFormat
	file, err := encode(&start)
	if err == nil {
		err = start.check()
	}
	if err != nil {
		ssc.Fail(op, err)
	}
	k.model = engine.NewModel(ssc, name, file, decodeKMeans)
	return k
}

// decodeKMeans reads a version's file.
func decodeKMeans(file []byte) (*KMeansState, error) {
	var s KMeansState
	if err := msgpack.Unmarshal(file, &s); err != nil {
		return nil, fmt.Errorf("%w: k-means: %w", ErrState, err)
	}
	return &s, s.check()
}

func (s *KMeansState) check() error {
	if len(s.Weights) != len(s.Centers) {
		return fmt.Errorf("%w: k-means with %d centers and %d weights: give one weight for each center, 0 for one that no point is behind", ErrState, len(s.Centers), len(s.Weights))
	}
	if s.Format != stateFormat || len(s.Centers) == 0 || len(s.Centers[0]) == 0 {
		return fmt.Errorf("%w: k-means of format %d with %d centers and %d weights", ErrState, s.Format, len(s.Centers), len(s.Weights))
	}
	for i, c := range s.Centers {
		if len(c) != len(s.Centers[0]) {
			return fmt.Errorf("%w: center %d has %d coordinates, center 0 has %d", ErrState, i, len(c), len(s.Centers[0]))
		}
		if err := checkFinite(fmt.Sprintf("center %d", i), c); err != nil {
			return err
		}
	}
	return checkFinite("weights", s.Weights)
}

// Predict returns the number of the center nearest to a point, the first of
// several. The point must have as many coordinates as the centers.
func (s *KMeansState) Predict(p []float64) int {
	best, nearest := 0, math.Inf(1)
	for i, c := range s.Centers {
		d := 0.0
		for j, x := range c {
			d += (p[j] - x) * (p[j] - x)
		}
		if d < nearest {
			best, nearest = i, d
		}
	}
	return best
}

// KMeansSums are the points of a partition, added up by their nearest center.
type KMeansSums struct {
	Sums   [][]float64 `msgpack:"s"`
	Counts []int64     `msgpack:"n"`
}

// Model returns the model that holds the versions.
func (k *KMeans) Model() *engine.Model[*KMeansState] { return k.model }

// TrainOn declares an output that teaches the model a stream.
func (k *KMeans) TrainOn(points *engine.DStream[[]float64]) {
	train(points, k.model, "trainOn", sumUp, addSums, k.update)
}

// PredictOn yields for each point the number of the center nearest to it.
func (k *KMeans) PredictOn(points *engine.DStream[[]float64]) *engine.DStream[int] {
	return Apply(points, k.model, func(s *KMeansState, p []float64) (int, error) {
		if err := checkPoint(p, len(s.Centers[0])); err != nil {
			return 0, err
		}
		return s.Predict(p), nil
	})
}

// sumUp adds up the points of a partition.
func sumUp(s *KMeansState, points iter.Seq2[[]float64, error]) (KMeansSums, error) {
	k, dim := len(s.Centers), len(s.Centers[0])
	t := KMeansSums{make([][]float64, k), make([]int64, k)}
	for i := range t.Sums {
		t.Sums[i] = make([]float64, dim)
	}
	for p, err := range points {
		if err == nil {
			err = checkPoint(p, dim)
		}
		if err != nil {
			return t, err
		}
		i := s.Predict(p)
		t.Counts[i]++
		for j, x := range p {
			t.Sums[i][j] += x
		}
	}
	return t, nil
}

// addSums joins the sums of two partitions.
func addSums(a, b KMeansSums) KMeansSums {
	for i := range a.Sums {
		a.Counts[i] += b.Counts[i]
		for j, x := range b.Sums[i] {
			a.Sums[i][j] += x
		}
	}
	return a
}

// update is MLlib's StreamingKMeansModel.update. An empty batch decays too.
func (k *KMeans) update(s *KMeansState, t KMeansSums) ([]byte, error) {
	discount := k.decay
	if k.unit == Points {
		var n int64
		for _, c := range t.Counts {
			n += c
		}
		discount = math.Pow(k.decay, float64(n))
	}
	next := KMeansState{Format: stateFormat, Weights: make([]float64, len(s.Weights))}
	for i, c := range s.Centers {
		center := append([]float64(nil), c...)
		n := float64(t.Counts[i])
		next.Weights[i] = s.Weights[i]*discount + n
		if n > 0 {
			lambda := n / math.Max(next.Weights[i], 1e-16)
			for j := range center {
				center[j] = center[j]*(1-lambda) + t.Sums[i][j]*(lambda/n)
			}
		}
		next.Centers = append(next.Centers, center)
	}
	next.split()
	return encode(&next)
}

// split puts a center that has died beside the one with the largest weight.
func (s *KMeansState) split() {
	largest, smallest := 0, 0
	for i, w := range s.Weights {
		if w > s.Weights[largest] {
			largest = i
		}
		if w < s.Weights[smallest] {
			smallest = i
		}
	}
	if s.Weights[smallest] >= 1e-8*s.Weights[largest] {
		return
	}
	w := (s.Weights[largest] + s.Weights[smallest]) / 2
	s.Weights[largest], s.Weights[smallest] = w, w
	for j, x := range s.Centers[largest] {
		p := 1e-14 * math.Max(math.Abs(x), 1)
		s.Centers[largest][j], s.Centers[smallest][j] = x+p, x-p
	}
}
