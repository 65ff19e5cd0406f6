// Anomalies watches sensors and says when one of them measures what it hardly ever did
// before.
//
//	go run ./examples/anomalies
package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	topic    string
	sigmas   float64
	readings int
	rate     float64
	sensors  int
}

func main() {
	app := engine.NewApp("anomalies")
	app.Example("anomalies --sigmas 5 --readings 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "readings", "topic of the readings, JSON")
	f.Float64Var(&opt.sigmas, "sigmas", 6, "a reading is an anomaly that is so many standard deviations from its sensor's mean")
	f.IntVar(&opt.readings, "readings", 20_000, "readings that are made up and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 4000, "of these, readings per second")
	f.IntVar(&opt.sensors, "sensors", 20, "of these, sensors")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error {
		made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.readings, Flag: "readings", Record: opt.reading}
		if err := cmp.Or(opt.check(), made.Check(ssc)); err != nil {
			return err
		}
		readings := kafka.Direct(ssc, kafka.Subscribe(opt.topic), kafka.JSONValue[Reading])
		anomalies(readings, opt.sigmas).Print(10)
		made.Declare(ssc, 2*time.Second)
		return nil
	})
}

// check reports what is wrong with the flags.
func (opt options) check() error {
	switch {
	case !(opt.sigmas > 0):
		return fmt.Errorf("%w: --sigmas %g is not above 0", engine.ErrUsage, opt.sigmas)
	case opt.sensors < 1:
		return fmt.Errorf("%w: --sensors %d is below 1", engine.ErrUsage, opt.sensors)
	}
	return nil
}

// Reading is what a sensor measured.
type Reading struct {
	Sensor string  `json:"sensor"`
	Value  float64 `json:"value"`
}

// Anomaly is a reading that is far from what its sensor measured before.
type Anomaly struct {
	Reading
	Mean, Deviation float64 // of the readings before
}

// String returns the anomaly for people.
func (a Anomaly) String() string {
	return fmt.Sprintf("%s: %.1f, usual is %.1f ± %.1f", a.Sensor, a.Value, a.Mean, a.Deviation)
}

// Moments are the running mean and variance of a sensor's readings (Welford, "Note on a
// method for calculating corrected sums of squares and products", Technometrics 4(3), 1962).
type Moments struct {
	N       int64
	Mean    float64
	Squares float64 // sum of the squared distances from the mean
}

// add takes in a reading.
func (m Moments) add(v float64) Moments {
	m.N++
	off := v - m.Mean
	m.Mean += off / float64(m.N)
	m.Squares += off * (v - m.Mean)
	return m
}

// deviation returns the standard deviation.
func (m Moments) deviation() float64 { return math.Sqrt(m.Squares / float64(max(1, m.N-1))) }

// known is how many readings it takes to know a sensor.
const known = 30

// anomalies yields the readings that are more than so many standard deviations from their
// sensor's mean. They don't count in the mean.
func anomalies(readings *engine.DStream[Reading], sigmas float64) *engine.DStream[Anomaly] {
	bySensor := engine.Map(readings, func(r Reading) rdd.Pair[string, float64] { return rdd.KV(r.Sensor, r.Value) })
	return engine.MapWithState(bySensor, "sensors", func(sensor string, v *float64, s *engine.State[Moments]) (Anomaly, bool) {
		m, _ := s.Get()
		if d := m.deviation(); m.N >= known && math.Abs(*v-m.Mean) > sigmas*d {
			return Anomaly{Reading{sensor, *v}, m.Mean, d}, true
		}
		s.Update(m.add(*v))
		return Anomaly{}, false
	})
}

// reading makes up a reading: sensors differ, and one in a thousand readings is far off.
func (opt options) reading(i int) (key string, value any) {
	random := rand.New(rand.NewPCG(2, uint64(i)))
	sensor := random.IntN(opt.sensors)
	r := Reading{fmt.Sprintf("sensor-%d", sensor), 20 + float64(sensor) + random.NormFloat64()}
	if random.IntN(1000) == 0 {
		r.Value += 20
	}
	return r.Sensor, r
}
