package streaming

import (
	"fmt"
	"iter"
	"math"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine"
)

// LabeledPoint is what a regression learns from. A logistic regression's label
// is 0 or 1.
type LabeledPoint struct {
	Label    float64   `msgpack:"l"`
	Features []float64 `msgpack:"f"`
}

// RegressionState is what a regression has learned. There is no intercept: give
// the points a feature that is always 1.
type RegressionState struct {
	Format  int       `msgpack:"v"`
	Weights []float64 `msgpack:"w"`
}

// SGD are the parameters of a regression's gradient descent, as MLlib names
// them: for each batch, iteration i steps by StepSize/√i against the mean
// gradient over all of its points, until NumIterations are done or the weights
// change by less than ConvergenceTol of their norm.
type SGD struct {
	StepSize       float64
	NumIterations  int
	RegParam       float64 // weight of the squared L2 norm; for logistic regression
	ConvergenceTol float64
}

// DefaultSGD returns MLlib's defaults.
func DefaultSGD() SGD { return SGD{StepSize: 0.1, NumIterations: 50, ConvergenceTol: 0.001} }

// Regression is a linear or logistic regression that is trained on a stream.
type Regression struct {
	model *engine.Model[*RegressionState]
	sgd   SGD
	link  func(margin float64) float64
}

// NewLinearRegression declares MLlib's StreamingLinearRegressionWithSGD, which
// starts from the given weights and minimises the squared error.
func NewLinearRegression(ssc *engine.StreamingContext, name string, weights []float64, sgd SGD) *Regression {
	if sgd.RegParam != 0 {
		ssc.Fail("streaming.NewLinearRegression "+name, fmt.Errorf("RegParam is %v; linear regression has no regularisation", sgd.RegParam))
	}
	return newRegression(ssc, name, weights, sgd, func(m float64) float64 { return m })
}

// NewLogisticRegression declares MLlib's StreamingLogisticRegressionWithSGD,
// which starts from the given weights and minimises the logistic loss.
func NewLogisticRegression(ssc *engine.StreamingContext, name string, weights []float64, sgd SGD) *Regression {
	return newRegression(ssc, name, weights, sgd, func(m float64) float64 { return 1 / (1 + math.Exp(-m)) })
}

func newRegression(ssc *engine.StreamingContext, name string, weights []float64, sgd SGD, link func(float64) float64) *Regression {
	start := RegressionState{stateFormat, weights}
	file, err := encode(&start)
	if err == nil {
		err = start.check()
	}
	if err == nil && !(sgd.StepSize > 0 && sgd.NumIterations > 0 && sgd.RegParam >= 0 && sgd.ConvergenceTol >= 0) {
		err = fmt.Errorf("%+v: StepSize and NumIterations must be above 0, the others not below; DefaultSGD has MLlib's", sgd)
	}
	if err != nil {
		ssc.Fail("streaming regression "+name, err)
	}
	return &Regression{engine.NewModel(ssc, name, file, decodeRegression), sgd, link}
}

// decodeRegression reads a version's file.
func decodeRegression(file []byte) (*RegressionState, error) {
	var s RegressionState
	if err := msgpack.Unmarshal(file, &s); err != nil {
		return nil, fmt.Errorf("%w: regression: %w", ErrState, err)
	}
	return &s, s.check()
}

func (s *RegressionState) check() error {
	if s.Format != stateFormat || len(s.Weights) == 0 {
		return fmt.Errorf("%w: a regression of format %d with %d weights", ErrState, s.Format, len(s.Weights))
	}
	return checkFinite("weights", s.Weights)
}

// Model returns the model that holds the versions.
func (r *Regression) Model() *engine.Model[*RegressionState] { return r.model }

// TrainOn declares an output that teaches the model a stream. An empty batch
// changes nothing.
func (r *Regression) TrainOn(points *engine.DStream[LabeledPoint]) {
	train(points, r.model, "trainOn", gather, func(a, b []LabeledPoint) []LabeledPoint { return append(a, b...) },
		func(s *RegressionState, points []LabeledPoint) ([]byte, error) {
			if len(points) == 0 {
				return nil, nil
			}
			next := RegressionState{stateFormat, r.descend(s.Weights, points)}
			if err := next.check(); err != nil {
				return nil, fmt.Errorf("the descent diverged; lower StepSize (now %v) or scale the features: %w", r.sgd.StepSize, err)
			}
			return encode(&next)
		})
}

// PredictOn yields the prediction for each point's features: the value, or the
// probability of label 1.
func (r *Regression) PredictOn(points *engine.DStream[[]float64]) *engine.DStream[float64] {
	return Apply(points, r.model, func(s *RegressionState, p []float64) (float64, error) {
		if err := checkPoint(p, len(s.Weights)); err != nil {
			return 0, err
		}
		return r.link(dot(s.Weights, p)), nil
	})
}

// gather collects a partition.
func gather(s *RegressionState, rows iter.Seq2[LabeledPoint, error]) ([]LabeledPoint, error) {
	points := []LabeledPoint{}
	for p, err := range rows {
		if err == nil {
			err = checkPoint(p.Features, len(s.Weights))
		}
		if err == nil && (math.IsNaN(p.Label) || math.IsInf(p.Label, 0)) {
			err = fmt.Errorf("%w: its label is %v", ErrPoint, p.Label)
		}
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	return points, nil
}

// descend is MLlib's GradientDescent.runMiniBatchSGD with all points in each
// iteration. The gradient of both losses is (link(w·x) − label)·x.
func (r *Regression) descend(start []float64, points []LabeledPoint) []float64 {
	w := append([]float64(nil), start...)
	gradient, before := make([]float64, len(w)), make([]float64, len(w))
	for i := 1; i <= r.sgd.NumIterations; i++ {
		clear(gradient)
		for _, p := range points {
			d := r.link(dot(w, p.Features)) - p.Label
			for j, x := range p.Features {
				gradient[j] += d * x
			}
		}
		copy(before, w)
		step := r.sgd.StepSize / math.Sqrt(float64(i))
		for j := range w {
			w[j] = w[j]*(1-step*r.sgd.RegParam) - step*gradient[j]/float64(len(points))
		}
		if i > 1 && distance(before, w) < r.sgd.ConvergenceTol*math.Max(math.Sqrt(dot(w, w)), 1) {
			break // MLlib looks from the second iteration on
		}
	}
	return w
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += x * b[i]
	}
	return s
}

func distance(a, b []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += (x - b[i]) * (x - b[i])
	}
	return math.Sqrt(s)
}
