package links

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// ClassifierLink is made by Classifier.
type ClassifierLink struct {
	Chain
	// LossFunc computes the loss of scores for labels (default
	// functions.SoftmaxCrossEntropy).
	LossFunc func(y, t *nn.Variable) *nn.Variable
	// AccuracyFunc computes what is reported as "accuracy" (default
	// functions.Accuracy); nil reports none.
	AccuracyFunc func(y, t *nn.Variable) *nn.Variable

	predictor Layer
	err       error
}

// Classifier makes a network that scores classes trainable on labelled
// examples: it computes the loss and the accuracy and reports both. Its
// parameters are under "predictor/". The predictor is a link with a Forward
// method.
func Classifier(predictor Layer) *ClassifierLink {
	c := &ClassifierLink{
		LossFunc:     func(y, t *nn.Variable) *nn.Variable { return functions.SoftmaxCrossEntropy(y, t) },
		AccuracyFunc: func(y, t *nn.Variable) *nn.Variable { return functions.Accuracy(y, t) },
		predictor:    predictor,
	}
	if l, ok := predictor.(Link); ok {
		Add(c, "predictor", l)
	} else {
		c.err = fmt.Errorf("%w: a %T has no parameters to train; pass a link", nn.ErrValue, predictor)
	}
	return c
}

// Predictor is the network inside.
func (c *ClassifierLink) Predictor() Layer { return c.predictor }

// Forward gives the predictor's scores.
func (c *ClassifierLink) Forward(x *nn.Variable) *nn.Variable { return c.predictor.Forward(x) }

// Loss is the mean loss of a batch; it reports "loss" and "accuracy".
func (c *ClassifierLink) Loss(tape *nn.Tape, batch []datasets.Example, report *Report) *nn.Variable {
	if c.err != nil {
		return nn.Failed(tape, "Classifier", c.err)
	}
	x, labels, err := datasets.Stack(batch)
	if err != nil {
		return nn.Failed(tape, "Classifier", err)
	}
	t := tape.Input(labels)
	y := c.predictor.Forward(tape.Input(x))
	loss := c.LossFunc(y, t)
	report.Add("loss", loss)
	if c.AccuracyFunc != nil {
		report.Add("accuracy", c.AccuracyFunc(y, t))
	}
	return loss
}
