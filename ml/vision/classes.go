package vision

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Class is what a classifier says.
type Class struct {
	Class int     `json:"class" msgpack:"c"`
	Name  string  `json:"name" msgpack:"n"`
	Score float32 `json:"score" msgpack:"s"`
}

// Top returns the n classes with the largest of a classifier's outputs, the best first.
func Top(scores []float32, n int, classes []string) ([]Class, error) {
	if len(scores) != len(classes) {
		return nil, fmt.Errorf("%w: %d scores of %d classes", ErrOutput, len(scores), len(classes))
	}
	all := make([]Class, len(scores))
	for i, s := range scores {
		all[i] = Class{i, classes[i], s}
	}
	slices.SortStableFunc(all, func(a, b Class) int { return cmp.Compare(b.Score, a.Score) })
	return all[:min(max(n, 0), len(all))], nil
}

// Softmax turns logits into probabilities, in place.
func Softmax(logits []float32) {
	if len(logits) == 0 {
		return
	}
	most, sum := slices.Max(logits), 0.0
	for i, v := range logits {
		e := math.Exp(float64(v - most))
		logits[i], sum = float32(e), sum+e
	}
	for i := range logits {
		logits[i] = float32(float64(logits[i]) / sum)
	}
}

// COCO returns the names of the 80 classes of the COCO data set, in the order of the
// networks that are trained on it.
func COCO() []string {
	return strings.Split("person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,"+
		"fire hydrant,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,"+
		"elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"+
		"skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,"+
		"wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,"+
		"broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,"+
		"dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,"+
		"toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush", ",")
}
