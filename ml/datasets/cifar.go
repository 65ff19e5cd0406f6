package datasets

import (
	"fmt"
	"io/fs"
)

// The binary files of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html):
// for each image its labels, a byte each, and 32x32 pixels of red, green and blue.
const (
	cifarSide   = 32
	cifarPixels = 3 * cifarSide * cifarSide
)

// CIFAR10 reads the files of the binary version of CIFAR-10 in a folder,
// data_batch_1.bin to data_batch_5.bin and test_batch.bin: 50,000 images to train
// with and 10,000 to test with. An example's shape is (3, 32, 32), its values go
// from 0 to 1, its label is one of 10 classes.
func CIFAR10(folder fs.FS) (train, test Dataset[Example], err error) {
	read := func(name string) (Dataset[Example], error) { return readCIFAR(folder, name, 1, 10) }
	var parts []Dataset[Example]
	for i := range 5 {
		part, err := read(fmt.Sprintf("data_batch_%d.bin", i+1))
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, part)
	}
	if test, err = read("test_batch.bin"); err != nil {
		return nil, nil, err
	}
	return Concat(parts...), test, nil
}

// CIFAR100 reads the files of the binary version of CIFAR-100 in a folder,
// train.bin and test.bin: 50,000 images and 10,000, as CIFAR10 gives them, with
// one of 100 classes.
func CIFAR100(folder fs.FS) (train, test Dataset[Example], err error) {
	if train, err = readCIFAR(folder, "train.bin", 2, 100); err != nil {
		return nil, nil, err
	}
	if test, err = readCIFAR(folder, "test.bin", 2, 100); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

func readCIFAR(folder fs.FS, name string, labels, classes int) (Dataset[Example], error) {
	raw, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, fmt.Errorf("reading CIFAR%s: %w", pathOf(folder), err)
	}
	d, err := decodeCIFAR(raw, labels, classes)
	if err != nil {
		return nil, fmt.Errorf("reading CIFAR%s, %s: %w", pathOf(folder), name, err)
	}
	return d, nil
}

// decodeCIFAR takes a file whose images have a number of labels each, the last of
// which is the class. It keeps the bytes.
func decodeCIFAR(raw []byte, labels, classes int) (Dataset[Example], error) {
	size := labels + cifarPixels
	if len(raw) == 0 || len(raw)%size != 0 {
		return nil, fmt.Errorf("%d bytes are no whole number of images of %d bytes", len(raw), size)
	}
	for at := labels - 1; at < len(raw); at += size {
		if int(raw[at]) >= classes {
			return nil, fmt.Errorf("image %d has label %d, want 0 to %d", at/size, raw[at], classes-1)
		}
	}
	return Func(len(raw)/size, func(i int) (Example, error) {
		image := raw[i*size : (i+1)*size]
		return Example{X: GreyToFloat(image[labels:]), Shape: []int{3, cifarSide, cifarSide}, Label: int32(image[labels-1])}, nil
	}), nil
}
