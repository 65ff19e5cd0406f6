package vision_test

import (
	"fmt"
	"os"

	"github.com/hibana-engine/hibana/ml/vision"
)

// A frame goes into a network's row, and the network's boxes come back to the frame.
func ExampleDetector() {
	detector := vision.Detector{
		Input: vision.YOLOInput(64, 64),
		Head:  vision.YOLOv8{Classes: []string{"cat", "dog"}},
	}
	frame, err := os.ReadFile("testdata/420.jpg") // 33x23 pixels
	if err != nil {
		fmt.Println(err)
		return
	}
	row := make([]float32, detector.Input.Len()) // what ml.Predict gives to encode
	if err := detector.Encode(frame, row); err != nil {
		fmt.Println(err)
		return
	}
	output := []float32{ // what it gives to decode: of two candidates,
		32, 10, // the centres,
		32, 10,
		32, 4, // the sizes,
		16, 4,
		0.1, 0.2, // and how likely they are cats,
		0.8, 0.1, // or dogs
	}
	found, err := detector.Decode(frame, output)
	fmt.Println(found, err)
	// Output:
	// [dog 0.80 (8, 8)-(25, 16)] <nil>
}

// A YOLOv7 of two classes: a row for each candidate. What is in it is likely a dog; that there
// is anything in the second one isn't.
func ExampleYOLOv7() {
	detector := vision.Detector{
		Input: vision.YOLOInput(640, 640),
		Head:  vision.YOLOv7{Classes: []string{"cat", "dog"}},
	}
	output := []float32{ // centre, size, an object, a cat, a dog
		320, 320, 40, 20, 0.9, 0.1, 0.8,
		100, 320, 40, 20, 0.2, 0.9, 0.1,
	}
	found, err := detector.In(1280, 720, output) // a frame of 1280x720 pixels
	fmt.Println(found, err)
	// Output:
	// [dog 0.72 (600, 340)-(680, 380)] <nil>
}

// A network that ends before its NonMaxSuppression: boxes, as parts of the input's size, and
// a row of scores for each class.
func ExampleBoxes() {
	detector := vision.Detector{
		Input: vision.Input{Width: 300, Height: 300},
		Head:  vision.Boxes{Classes: []string{"person", "car"}, Order: vision.CornersXY, Parts: true},
	}
	boxes := []float32{
		0.25, 0.25, 0.5, 0.75,
		0.26, 0.25, 0.5, 0.75, // the same person
		0.5, 0.5, 1, 1,
	}
	scores := []float32{
		0.9, 0.8, 0, // persons
		0, 0.1, 0.6, // cars
	}
	found, err := detector.In(640, 480, boxes, scores)
	fmt.Println(found, err)
	// Output:
	// [person 0.90 (160, 120)-(320, 360) car 0.60 (320, 240)-(640, 480)] <nil>
}

// A classifier reads the middle of an image.
func ExampleInput() {
	in := vision.ImageNetInput(224)
	frame, err := os.ReadFile("testdata/420.jpg")
	if err != nil {
		fmt.Println(err)
		return
	}
	row := make([]float32, in.Len())
	fmt.Println(len(row), in.Encode(frame, row))
	best, err := vision.Top([]float32{0.1, 0.7, 0.2}, 1, []string{"bee", "fly", "wasp"})
	fmt.Println(best, err)
	// Output:
	// 150528 <nil>
	// [{1 fly 0.7}] <nil>
}

// An image that would take too much memory is refused before it is decoded.
func ExampleDecoder() {
	frame, err := os.ReadFile("testdata/420.jpg")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = vision.Decoder{MaxPixels: 500}.Decode(frame)
	fmt.Println(err)
	// Output:
	// image too large: JPEG of 33x23 pixels, the most is 500; raise MaxPixels to read it
}

// Non-maximum suppression alone, for a head of your own.
func ExampleNMS_Keep() {
	found := vision.NMS{Score: 0.3}.Keep([]vision.Detection{
		{Box: vision.Box{X1: 0, Y1: 0, X2: 10, Y2: 10}, Name: "car", Score: 0.6},
		{Box: vision.Box{X1: 1, Y1: 0, X2: 11, Y2: 10}, Name: "car", Score: 0.9},
		{Box: vision.Box{X1: 50, Y1: 0, X2: 60, Y2: 10}, Name: "car", Score: 0.2},
	})
	fmt.Println(found)
	// Output:
	// [car 0.90 (1, 0)-(11, 10)]
}
