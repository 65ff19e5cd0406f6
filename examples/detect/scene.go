package main

import (
	"bytes"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/ml/vision"
)

// The size of scenes, which isn't that of the network's input, and how their objects lie.
const (
	sceneWidth, sceneHeight = 320, 240
	smallest, largest       = 36, 80 // sides of objects
	apart                   = 16     // pixels between them
)

// scene draws frame i: some objects before a grey wall that isn't clean, as a JPEG, and says where
// they are.
func scene(i int) (file []byte, objects []vision.Detection) {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	img := wall(random)
	for range 2 + random.IntN(3) {
		class := random.IntN(len(shapes))
		box, ok := place(random, objects)
		if !ok {
			break
		}
		paint(img, box, class, bright(random))
		objects = append(objects, vision.Detection{Box: box, Class: class, Name: shapes[class], Score: 1})
	}
	var b bytes.Buffer
	_ = jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}) // a buffer takes it all
	return b.Bytes(), objects
}

// wall is a background of uneven light and grain.
func wall(random *rand.Rand) *vision.Image {
	img := vision.NewImage(sceneWidth, sceneHeight)
	light, slope := 90+80*random.Float64(), 0.3*random.Float64()
	for i := range sceneWidth * sceneHeight {
		v := byte(min(max(light+slope*float64(i%sceneWidth)+8*random.NormFloat64(), 0), 255))
		copy(img.Pix[3*i:], []byte{v, v, v})
	}
	return img
}

// bright is a colour that isn't grey.
func bright(random *rand.Rand) color.RGBA {
	c := []byte{byte(200 + random.IntN(56)), byte(random.IntN(200)), byte(random.IntN(60))}
	random.Shuffle(3, func(i, j int) { c[i], c[j] = c[j], c[i] })
	return color.RGBA{c[0], c[1], c[2], 255}
}

// place finds a place apart from the objects that are there.
func place(random *rand.Rand, objects []vision.Detection) (vision.Box, bool) {
	for range 50 {
		size := smallest + random.Float32()*(largest-smallest)
		x, y := random.Float32()*(sceneWidth-size), random.Float32()*(sceneHeight-size)
		box := vision.Box{X1: x, Y1: y, X2: x + size, Y2: y + size}
		around := vision.Box{X1: x - apart, Y1: y - apart, X2: x + size + apart, Y2: y + size + apart}
		free := true
		for _, o := range objects {
			free = free && around.IoU(o.Box) == 0
		}
		if free {
			return box, true
		}
	}
	return vision.Box{}, false
}

// paint fills a shape, with soft edges.
func paint(img *vision.Image, box vision.Box, class int, c color.RGBA) {
	const fine = 3 // samples of a pixel along each axis
	half := (box.X2 - box.X1) / 2
	for y := int(box.Y1); y < min(int(box.Y2)+1, img.Height); y++ {
		for x := int(box.X1); x < min(int(box.X2)+1, img.Width); x++ {
			covered := 0
			for s := range fine * fine {
				dx := (float32(x)+(float32(s%fine)+0.5)/fine-box.X1)/half - 1
				dy := (float32(y)+(float32(s/fine)+0.5)/fine-box.Y1)/half - 1
				if inside(class, float64(dx), float64(dy)) {
					covered++
				}
			}
			p := img.Pix[3*(y*img.Width+x):]
			for k, v := range []byte{c.R, c.G, c.B} {
				p[k] = byte((int(p[k])*(fine*fine-covered) + int(v)*covered) / (fine * fine))
			}
		}
	}
}

// inside tells whether a place is in a shape that fills the square from -1 to 1.
func inside(class int, x, y float64) bool {
	switch shapes[class] {
	case "circle":
		return x*x+y*y <= 1
	case "square":
		return max(math.Abs(x), math.Abs(y)) <= 1
	}
	return math.Abs(y) <= 1 && math.Abs(x) <= (y+1)/2 // a triangle with its tip above
}
