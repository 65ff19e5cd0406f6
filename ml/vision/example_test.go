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
