// Package vision takes images to a network and boxes out of what it gives.
//
//	detector := vision.Detector{Input: vision.YOLOInput(640, 640), Head: vision.YOLOv8{Classes: vision.COCO()}}
//	model := ml.ONNX(ssc, "yolo", file).Expect(detector.Check)
//	found := ml.Predict(frames, model,
//		func(f Frame, row []float32) error { return detector.Encode(f.JPEG, row) },
//		func(f Frame, out ml.Row) (Found, error) {
//			objects, err := detector.Decode(f.JPEG, out.Outputs()...)
//			return Found{f.Name, objects}, err
//		})
//
// [Decoder] reads JPEG and PNG, [Input] says how a network wants an image (scaled,
// padded, which channels, normalised), a [Head] reads the boxes of a kind of networks,
// [Detector] puts them together and maps boxes back to the frame. All of them are plain
// values without anything to close, and may be used by any number of goroutines.
//
// Where frameworks differ, each way is there by its name, and its pixels are theirs within
// one level of 255 (testdata has what OpenCV and Pillow made).
//
// Bytes may come from anyone: an image's size is read before anything is allocated for its
// pixels and held against a limit.
package vision
