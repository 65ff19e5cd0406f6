package ml

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/rdd"
)

// shapeCheck refuses the shapes of a row and of its outputs.
type shapeCheck = func(row []int, outputs ...[]int) error

// Expect adds a check of a model's shapes: that of a row and those of its outputs, without
// the batch's axis. An ONNX file has the outputs that onnx.Output lists, in that order. The
// check runs when a version is loaded, before the first batch and when one is published, so
// that a network of another size than the program's is refused there and not by the first
// element:
//
//	model := ml.ONNX(ssc, "yolo", file).Expect(detector.Check) // detector is a vision.Detector
//
// A model of several lengths is checked at each. Expect returns the model.
func (m *ModelRef) Expect(check func(row []int, outputs ...[]int) error) *ModelRef {
	m.expected = append(m.expected, check)
	return m
}

// Expect checks a version's shapes as [ModelRef.Expect] does; one that is refused fails the
// program at its next action. It returns the model.
func (m *LoadedModel) Expect(check func(row []int, outputs ...[]int) error) *LoadedModel {
	if m.version == nil { // which the program was told
		return m
	}
	if err := m.version.holds([]shapeCheck{check}); err != nil {
		failAt(m.sc, "ml.LoadedModel.Expect "+m.name, unusable(m.file, err))
	}
	return m
}

// holds runs checks of the version's shapes and tells everything that is wrong.
func (v *version) holds(checks []shapeCheck) error {
	outputs := [][]int{v.model.OutputShape()}
	if len(v.parts) > 0 {
		outputs = outputs[:0]
		for _, p := range v.parts {
			outputs = append(outputs, slices.Clone(p.Shape))
		}
	}
	var all []error
	for _, check := range checks {
		if check == nil {
			all = append(all, fmt.Errorf("Expect: %w", rdd.ErrNilFunction))
			continue
		}
		all = append(all, check(v.model.InputShape(), outputs...))
	}
	return errors.Join(all...)
}
