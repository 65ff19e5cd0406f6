// Package mnist carries the MNIST database of handwritten digits inside the
// program: 60,000 training and 10,000 test images of 28x28 grey values.
//
// The four files are embedded one by one, so a program that only calls [Test]
// grows by 1.6 MB and not by 11. Source and licence of the data are in the
// README beside this file.
package mnist

import (
	_ "embed" // the four files below
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/ml/datasets/idx"
)

// Rows and Cols are the size of every image, Classes the number of digits.
const (
	Rows    = 28
	Cols    = 28
	Classes = 10
)

//go:embed train-images-idx3-ubyte.gz
var trainImages string

//go:embed train-labels-idx1-ubyte.gz
var trainLabels string

//go:embed t10k-images-idx3-ubyte.gz
var testImages string

//go:embed t10k-labels-idx1-ubyte.gz
var testLabels string

// Set is a part of the database.
type Set struct {
	// Images holds Rows*Cols bytes an image, 0 (background) to 255 (ink).
	Images []byte
	// Labels holds one digit, 0 to 9, an image.
	Labels []byte
}

// Len is the number of images.
func (s Set) Len() int { return len(s.Labels) }

// Image gives the Rows*Cols bytes of image i, row by row. They are the set's
// own and must not be changed.
func (s Set) Image(i int) []byte {
	const size = Rows * Cols
	return s.Images[i*size : (i+1)*size : (i+1)*size]
}

// Train unpacks the 60,000 training images. Each call reads the embedded files
// anew: keep the result.
func Train() (Set, error) { return unpack("training", trainImages, trainLabels) }

// Test unpacks the 10,000 test images. Each call reads the embedded files
// anew: keep the result.
func Test() (Set, error) { return unpack("test", testImages, testLabels) }

func unpack(part, images, labels string) (Set, error) {
	pixels, err := idx.Read(strings.NewReader(images))
	if err != nil {
		return Set{}, fmt.Errorf("unpacking MNIST's %s images: %w", part, err)
	}
	digits, err := idx.Read(strings.NewReader(labels))
	if err != nil {
		return Set{}, fmt.Errorf("unpacking MNIST's %s labels: %w", part, err)
	}
	if len(pixels.Data) != len(digits.Data)*Rows*Cols {
		return Set{}, fmt.Errorf("unpacking MNIST's %s part: %v images and %v labels: %w", part, pixels.Shape, digits.Shape, idx.ErrFormat)
	}
	return Set{Images: pixels.Data, Labels: digits.Data}, nil
}
