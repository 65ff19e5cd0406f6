package mnist_test

import (
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

func TestSets(t *testing.T) {
	tests := []struct {
		name  string
		load  func() (mnist.Set, error)
		n     int
		first []byte // the first labels, as the database's own page shows them
	}{
		{"train", mnist.Train, 60000, []byte{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}},
		{"test", mnist.Test, 10000, []byte{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := tt.load()
			if err != nil {
				t.Fatal(err)
			}
			if set.Len() != tt.n || len(set.Images) != tt.n*mnist.Rows*mnist.Cols {
				t.Fatalf("%d labels and %d bytes of images, want %d images", set.Len(), len(set.Images), tt.n)
			}
			if got := set.Labels[:10]; string(got) != string(tt.first) {
				t.Errorf("labels start with %v, want %v", got, tt.first)
			}
			for i, label := range set.Labels {
				if label >= mnist.Classes {
					t.Fatalf("label %d of image %d", label, i)
				}
			}
			if img := set.Image(tt.n - 1); len(img) != mnist.Rows*mnist.Cols || crc32.ChecksumIEEE(img) == 0 {
				t.Errorf("the last image has %d bytes", len(img))
			}
		})
	}
}

func ExampleTest() {
	set, err := mnist.Test()
	if err != nil {
		fmt.Println(err)
		return
	}
	img := set.Image(0)
	for y := 6; y < 28; y += 3 {
		for x := 4; x < 24; x++ {
			fmt.Print(string(".:#"[img[y*mnist.Cols+x]/86]))
		}
		fmt.Println()
	}
	fmt.Println("digit:", set.Labels[0])
	// Output:
	// ....................
	// ...:.::##########:..
	// ..............##....
	// ............:##.....
	// ...........##.......
	// .........##.........
	// .......###..........
	// ....................
	// digit: 7
}
