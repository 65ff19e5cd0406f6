package main

import (
	"fmt"
	"strconv"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/ml"
)

// imageSize is the bytes of an image: 28 rows of 28 grey values.
const imageSize = 28 * 28

// Headers of an image.
const (
	frameHeader    = "frame"
	capturedHeader = "captured" // nanoseconds since 1970
	labelHeader    = "label"    // the digit that the image shows
)

// Image is one picture of a camera, as it lies in Kafka.
type Image struct {
	Pixels    []byte // 784 grey values, rows from the top, 0 black
	Camera    string
	Frame     int64
	Captured  int64
	Label     int
	Topic     string
	Partition int32
	Offset    int64
}

// Digit is what was recognised in an image, with the image's coordinates.
type Digit struct {
	Digit      int     `json:"digit"`
	Confidence float32 `json:"confidence"` // probability of the digit
	Label      int     `json:"label"`
	Camera     string  `json:"camera"`
	Frame      int64   `json:"frame"`
	Captured   int64   `json:"captured"` // nanoseconds since 1970
	Topic      string  `json:"topic"`
	Partition  int32   `json:"partition"`
	Offset     int64   `json:"offset"`
	Batch      uint64  `json:"batch"`
	Model      string  `json:"model"` // SHA-256 of the model's file
}

// decodeImage turns a record into an image, or says why it is none.
func decodeImage(r *kafka.Record) (Image, error) {
	img := Image{Pixels: r.Value, Camera: string(r.Key), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	if len(r.Value) != imageSize {
		return img, fmt.Errorf("an image has %d bytes, this record has %d", imageSize, len(r.Value))
	}
	var err error
	if img.Frame, err = header(r, frameHeader); err != nil {
		return img, err
	}
	if img.Captured, err = header(r, capturedHeader); err != nil {
		return img, err
	}
	label, err := header(r, labelHeader)
	if err == nil && (label < 0 || label > 9) {
		err = fmt.Errorf("header %s is %d, not a digit", labelHeader, label)
	}
	img.Label = int(label)
	return img, err
}

// header returns a header's decimal value.
func header(r *kafka.Record, key string) (int64, error) {
	v, ok := r.Header(key)
	if !ok {
		return 0, fmt.Errorf("header %s is missing", key)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("header %s: %w", key, err)
	}
	return n, nil
}

// pixels fills a network's input row, 784 values from 0 to 1.
func pixels(img Image, row []float32) error {
	for i, p := range img.Pixels {
		row[i] = float32(p) / 255
	}
	return nil
}

// toDigit reads a network's output row, ten logits.
func toDigit(img Image, row ml.Row) (Digit, error) {
	digit, p := best(row.Output)
	return Digit{
		Digit: digit, Confidence: p, Label: img.Label, Camera: img.Camera, Frame: img.Frame, Captured: img.Captured,
		Topic: img.Topic, Partition: img.Partition, Offset: img.Offset, Batch: row.Batch, Model: row.Digest,
	}, nil
}

// outcome is what the driver counts of a digit.
type outcome struct {
	Camera       string
	Label, Digit int
}

func outcomeOf(d Digit) outcome { return outcome{d.Camera, d.Label, d.Digit} }
