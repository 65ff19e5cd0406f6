package vision

import "fmt"

// YOLOv8 reads the output of Ultralytics' YOLOv8, v9 and v11 as they export it, with an
// array (4 + classes, candidates): a candidate's column holds the box's centre, width
// and height in pixels of the input, then the probability of each class
// (ultralytics/nn/modules/head.py, Detect). The likeliest class counts.
type YOLOv8 struct {
	Classes []string // all that the network knows, in its order
	NMS     NMS
}

// Detections is part of [Head].
func (h YOLOv8) Detections(_, _ int, outputs ...[]float32) ([]Detection, error) {
	out, n, err := candidates("YOLOv8", outputs, 4+len(h.Classes), h.Classes)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i := range n {
		column := func(row int) float32 { return out[row*n+i] }
		class := 0
		for c := range h.Classes {
			if column(4+c) > column(4+class) {
				class = c
			}
		}
		score := column(4 + class)
		if score > mostScore {
			return nil, tooLikely("YOLOv8", i, score)
		}
		if score >= h.NMS.least() {
			found = append(found, Detection{Around(column(0), column(1), column(2), column(3)), class, h.Classes[class], score})
		}
	}
	return h.NMS.Keep(found), nil
}

// Check is part of [ShapeChecker].
func (h YOLOv8) Check(outputs ...[]int) error {
	return checkCandidates("YOLOv8", outputs, 0, 4+len(h.Classes), h.Classes)
}

// YOLOv5 reads the output of YOLOv5 as it exports it, decoded, with an array
// (candidates, 5 + classes): a candidate's row holds the box's centre, width and height in
// pixels of the input, the probability that there is an object, and of each class if
// so (yolov5/utils/general.py, non_max_suppression). The likeliest class counts, its score is
// the product.
type YOLOv5 struct {
	Classes []string // all that the network knows, in its order
	NMS     NMS
}

// Detections is part of [Head].
func (h YOLOv5) Detections(_, _ int, outputs ...[]float32) ([]Detection, error) {
	return objects("YOLOv5", outputs, h.Classes, h.NMS, func(object, class float32) float32 { return object * class })
}

// Check is part of [ShapeChecker].
func (h YOLOv5) Check(outputs ...[]int) error {
	return checkCandidates("YOLOv5", outputs, 1, 5+len(h.Classes), h.Classes)
}

// YOLOv7 reads the output of YOLOv7 as it exports it, decoded and without NMS
// (--grid): that of [YOLOv5], but of a network of one class the probability that there is
// an object is the score, since the class's isn't trained then (yolov7/utils/general.py,
// non_max_suppression).
type YOLOv7 struct {
	Classes []string // all that the network knows, in its order
	NMS     NMS
}

// Detections is part of [Head].
func (h YOLOv7) Detections(_, _ int, outputs ...[]float32) ([]Detection, error) {
	return objects("YOLOv7", outputs, h.Classes, h.NMS, func(object, class float32) float32 {
		if len(h.Classes) == 1 {
			return object
		}
		return object * class
	})
}

// Check is part of [ShapeChecker].
func (h YOLOv7) Check(outputs ...[]int) error {
	return checkCandidates("YOLOv7", outputs, 1, 5+len(h.Classes), h.Classes)
}

// objects reads candidates of a box, the probability of an object and those of classes, of
// which score makes one.
func objects(head string, outputs [][]float32, classes []string, nms NMS, score func(object, class float32) float32) ([]Detection, error) {
	size := 5 + len(classes)
	out, n, err := candidates(head, outputs, size, classes)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i := range n {
		row := out[i*size:][:size]
		class := largest(row[5:])
		if likely := max(row[4], row[5+class]); likely > mostScore {
			return nil, tooLikely(head, i, likely)
		}
		if s := score(row[4], row[5+class]); s >= nms.least() {
			found = append(found, Detection{Around(row[0], row[1], row[2], row[3]), class, classes[class], s})
		}
	}
	return nms.Keep(found), nil
}

// YOLOv10 reads the output of a network that has sorted out its candidates itself by
// their scores, without NMS, as YOLOv10 does: an array (detections, 6), with the
// corners of the box in pixels of the input, the score and the class. Of NMS only Score
// and Max count. A file with NonMaxSuppression in it, such as Ultralytics' export with
// nms=True, can't be read that far: export it without and use [YOLOv8], or see [Boxes].
type YOLOv10 struct {
	Classes []string // all that the network knows, in its order
	NMS     NMS
}

// Detections is part of [Head].
func (h YOLOv10) Detections(_, _ int, outputs ...[]float32) ([]Detection, error) {
	out, n, err := candidates("YOLOv10", outputs, 6, h.Classes)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i := range n {
		row := out[6*i : 6*i+6]
		if !(row[4] >= h.NMS.least()) {
			continue
		}
		if !(row[5] >= 0 && row[5] < float32(len(h.Classes))) {
			return nil, fmt.Errorf("%w: YOLOv10: detection %d is of class %v, there are %d", ErrOutput, i, row[5], len(h.Classes))
		}
		if row[4] > mostScore {
			return nil, tooLikely("YOLOv10", i, row[4])
		}
		class := int(row[5])
		found = append(found, Detection{Box{row[0], row[1], row[2], row[3]}, class, h.Classes[class], row[4]})
	}
	all := h.NMS
	all.IoU, all.Sigma = 1, 0
	return all.Keep(found), nil
}

// Check is part of [ShapeChecker]. How many classes there are it can't tell.
func (h YOLOv10) Check(outputs ...[]int) error {
	return checkCandidates("YOLOv10", outputs, 1, 6, h.Classes)
}

// mostScore is the largest score that is taken for a probability, with what rounding may
// add to 1.
const mostScore = 1.01

// tooLikely says that a score isn't a probability: something else is read as one.
func tooLikely(head string, candidate int, score float32) error {
	return fmt.Errorf("%w: %s: candidate %d has a score of %v, which is no probability; give as many Classes as the network knows, and the head that belongs to it", ErrOutput, head, candidate, score)
}

// candidates returns a head's one output and how many candidates it holds, each of so
// many floats.
func candidates(head string, outputs [][]float32, size int, classes []string) ([]float32, int, error) {
	if err := oneOutput(head, len(outputs), classes); err != nil {
		return nil, 0, err
	}
	if len(outputs[0]) == 0 || len(outputs[0])%size != 0 {
		return nil, 0, fmt.Errorf("%w: %s with %d classes reads %d floats of each candidate, and the network gives %d; give as many Classes as it knows", ErrOutput, head, len(classes), size, len(outputs[0]))
	}
	return outputs[0], len(outputs[0]) / size, nil
}

// oneOutput refuses several outputs, and a head without classes.
func oneOutput(head string, outputs int, classes []string) error {
	if outputs != 1 {
		return fmt.Errorf("%w: %s reads one output, there are %d", ErrOutput, head, outputs)
	}
	return someClasses(head, classes)
}

// someClasses refuses a head without classes.
func someClasses(head string, classes []string) error {
	if len(classes) == 0 {
		return fmt.Errorf("%w: %s has no Classes; give all that the network knows, such as vision.COCO()", ErrOutput, head)
	}
	return nil
}

// checkCandidates refuses an output that isn't an array of candidates of so many floats
// along an axis of the two.
func checkCandidates(head string, outputs [][]int, axis, size int, classes []string) error {
	if err := oneOutput(head, len(outputs), classes); err != nil {
		return err
	}
	shape := outputs[0]
	for len(shape) > 2 && shape[0] == 1 { // a batch that is fixed
		shape = shape[1:]
	}
	if len(shape) == 2 && shape[axis] == size {
		return nil
	}
	want := []string{"candidates", "candidates"}
	want[axis] = fmt.Sprint(size)
	return fmt.Errorf("%w: %s with %d classes reads an array [%s %s], the network gives %v; give as many Classes as it knows, and the head that belongs to it", ErrOutput, head, len(classes), want[0], want[1], outputs[0])
}

// largest is the index of the first of the largest values.
func largest(v []float32) int {
	at := 0
	for i, x := range v {
		if x > v[at] {
			at = i
		}
	}
	return at
}
