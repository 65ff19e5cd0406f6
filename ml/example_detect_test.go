package ml_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/vision"
)

// Frame is an image, JPEG or PNG.
type Frame struct {
	Name string
	File []byte
}

// Found is what was found in a frame.
type Found struct {
	Frame   string
	Objects []vision.Detection
}

// objects finds objects in frames with a YOLOv8, the bytes of its ONNX file.
func objects(frames *engine.DStream[Frame], network []byte) *engine.DStream[Found] {
	detector := vision.Detector{
		Input: vision.YOLOInput(256, 192),
		Head:  vision.YOLOv8{Classes: []string{"circle", "square", "triangle"}, NMS: vision.NMS{Score: 0.8}},
	}
	model := ml.ONNX(frames.Context(), "shapes", network).Expect(detector.Check)
	return ml.Predict(frames, model,
		func(f Frame, row []float32) error { return detector.Encode(f.File, row) },
		func(f Frame, out ml.Row) (Found, error) {
			found, err := detector.Decode(f.File, out.Outputs()...)
			return Found{f.Name, found}, err
		})
}

// frameOf makes a frame of a record.
func frameOf(r *kafka.Record) (Frame, error) { return Frame{string(r.Key), r.Value}, nil }

// From a topic of JPEG frames to a stream of what is in them.
func ExampleONNX() {
	network, err := os.ReadFile("../examples/detect/shapes.onnx") // a program carries it, with go:embed
	if err != nil {
		fmt.Println(err)
		return
	}
	err = onTopic("frames", "camera-1", redSquare(), func(ssc *engine.StreamingContext) error {
		frames := kafka.Direct(ssc, kafka.Subscribe("frames"), frameOf)
		found := objects(frames, network)
		engine.ForEachBatch(found, func(_ engine.Batch, all []Found) error {
			for _, f := range all {
				fmt.Println(f.Frame, f.Objects)
			}
			return nil
		})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// camera-1 [square 0.89 (60, 50)-(120, 110)]
}

// redSquare is a frame of 320x240 pixels.
func redSquare() []byte {
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	draw.Draw(img, img.Bounds(), image.NewUniform(color.Gray{Y: 128}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(60, 50, 120, 110), image.NewUniform(color.RGBA{R: 200, G: 30, B: 30, A: 255}), image.Point{}, draw.Src)
	var file bytes.Buffer
	_ = jpeg.Encode(&file, img, nil) // a buffer takes it all
	return file.Bytes()
}

// onTopic runs a program on a broker with a topic that holds one record, until it has read it.
func onTopic(topic, key string, value []byte, build engine.BuildFunc) error {
	broker, err := embedded.Start(embedded.Options{Topics: []embedded.Topic{{Name: topic, Partitions: 1}}})
	if err != nil {
		return err
	}
	defer broker.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), kgo.KeySliceRecord([]byte(key), value)).FirstErr(); err != nil {
		return err
	}
	args := []string{"--brokers", broker.Addrs()[0], "--until-end", "--log-level", "error"}
	return engine.NewApp("example").Run(context.Background(), args, time.Second, build)
}
