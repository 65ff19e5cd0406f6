// Detect finds circles, squares and triangles in a stream of JPEG frames, and draws what it
// finds.
//
//	go run ./examples/detect
package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/vision"
)

// network is a detector with the input and the output of a YOLOv8; network.py wrote it.
//
//go:embed shapes.onnx
var network []byte

// shapes are the network's classes.
var shapes = []string{"circle", "square", "triangle"}

// detector says how the network is used.
var detector = vision.Detector{
	Input: vision.YOLOInput(256, 192),
	Head:  vision.YOLOv8{Classes: shapes, NMS: vision.NMS{Score: 0.8, IoU: 0.2, AcrossClasses: true}},
}

// options are the program's flags.
type options struct {
	topic  string
	frames int
	rate   float64
	strip  string
}

func main() {
	app := engine.NewApp("detect")
	app.Example("detect --strip objects.png")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "frames", "topic of the frames, JPEG or PNG")
	f.IntVar(&opt.frames, "frames", 100, "frames that are drawn and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 30, "of these, frames per second")
	f.StringVar(&opt.strip, "strip", "detect.png", "PNG file with the first twelve frames and what was found in them; empty: none")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error { return declare(ssc, opt) })
}

// declare declares the program.
func declare(ssc *engine.StreamingContext, opt options) error {
	made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.frames, Flag: "frames", Record: func(i int) (string, any) {
		jpeg, _ := scene(i)
		return fmt.Sprintf("frame %d", i), jpeg
	}}
	if err := made.Check(ssc); err != nil {
		return err
	}
	frames := kafka.Direct(ssc, kafka.Subscribe(opt.topic), frameOf, kafka.OnBadRecord(kafka.Skip()))
	found := objects(frames).Cache()
	found.Print(5)
	if opt.strip != "" {
		s := strip{path: opt.strip, columns: 4, most: 12, log: ssc.Logger()}
		ssc.OnDriver(func(context.Context) error { return s.check() })
		engine.ForEachBatch(found, s.add)
	}
	t := totals{log: ssc.Logger()}
	engine.ForEachBatch(engine.Map(found, func(f Found) int { return len(f.Objects) }), t.add)
	ssc.OnStop(t.write)
	made.Declare(ssc, 2*time.Second)
	return nil
}

// Frame is a frame with the picture that the network is shown of it.
type Frame struct {
	Name          string
	JPEG          []byte
	Width, Height int
	Input         *vision.Image
}

// frameOf decodes a record, whose key is the frame's name. What isn't an image is a bad record, with which the stream does
// as it is told.
func frameOf(r *kafka.Record) (Frame, error) {
	name := string(r.Key)
	if name == "" {
		name = fmt.Sprintf("partition %d, offset %d", r.Partition, r.Offset)
	}
	return newFrame(name, r.Value)
}

// newFrame decodes a frame and scales it for the network.
func newFrame(name string, jpeg []byte) (Frame, error) {
	img, err := vision.Decode(jpeg)
	if err != nil {
		return Frame{}, err
	}
	input, err := detector.Input.Fitted(img)
	return Frame{name, jpeg, img.Width, img.Height, input}, err
}

// Found is what was found in a frame.
type Found struct {
	Frame   string
	JPEG    []byte
	Objects []vision.Detection
}

// String returns the objects for people.
func (f Found) String() string {
	var all []string
	for _, o := range f.Objects {
		all = append(all, o.String())
	}
	return fmt.Sprintf("%s: %s", f.Frame, strings.Join(all, ", "))
}

// objects finds the objects in frames.
func objects(frames *engine.DStream[Frame]) *engine.DStream[Found] {
	model := ml.ONNX(frames.Context(), "shapes", network).Expect(detector.Check)
	return ml.Predict(frames, model,
		func(f Frame, row []float32) error { return detector.Input.Fill(f.Input, row) },
		func(f Frame, out ml.Row) (Found, error) {
			found, err := detector.In(f.Width, f.Height, out.Output)
			return Found{f.Name, f.JPEG, found}, err
		})
}
