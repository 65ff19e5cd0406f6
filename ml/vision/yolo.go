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
		if score := column(4 + class); score >= h.NMS.least() {
			found = append(found, Detection{Around(column(0), column(1), column(2), column(3)), class, h.Classes[class], score})
		}
	}
	return h.NMS.Keep(found), nil
}

// YOLOv5 reads the output of YOLOv5 and YOLOv7 as they export it, decoded, with an array
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
	out, n, err := candidates("YOLOv5", outputs, 5+len(h.Classes), h.Classes)
	if err != nil {
		return nil, err
	}
	var found []Detection
	for i := range n {
		row := out[i*(5+len(h.Classes)):][:5+len(h.Classes)]
		class := largest(row[5:])
		if score := row[4] * row[5+class]; score >= h.NMS.least() {
			found = append(found, Detection{Around(row[0], row[1], row[2], row[3]), class, h.Classes[class], score})
		}
	}
	return h.NMS.Keep(found), nil
}

// YOLOv10 reads the output of a network that has sorted out its candidates itself, as
// YOLOv10 and Ultralytics' export with nms=True: an array (detections, 6), with the
// corners of the box in pixels of the input, the score and the class. Of NMS only Score
// and Max count.
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
		class := int(row[5])
		found = append(found, Detection{Box{row[0], row[1], row[2], row[3]}, class, h.Classes[class], row[4]})
	}
	all := h.NMS
	all.IoU, all.Sigma = 1, 0
	return all.Keep(found), nil
}

// candidates returns a head's one output and how many candidates it holds, each of so
// many floats.
func candidates(head string, outputs [][]float32, size int, classes []string) ([]float32, int, error) {
	if len(outputs) != 1 {
		return nil, 0, fmt.Errorf("%w: %s reads one output, there are %d", ErrOutput, head, len(outputs))
	}
	if len(classes) == 0 {
		return nil, 0, fmt.Errorf("%w: %s has no Classes; give all that the network knows, such as vision.COCO()", ErrOutput, head)
	}
	if len(outputs[0]) == 0 || len(outputs[0])%size != 0 {
		return nil, 0, fmt.Errorf("%w: %s with %d classes reads %d floats of each candidate, and the network gives %d; give as many Classes as it knows", ErrOutput, head, len(classes), size, len(outputs[0]))
	}
	return outputs[0], len(outputs[0]) / size, nil
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
