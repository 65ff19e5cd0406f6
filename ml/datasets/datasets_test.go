package datasets_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/nn"
)

var ten = datasets.Slice[int]{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

func all[T any](t *testing.T, d datasets.Dataset[T]) []T {
	t.Helper()
	out, err := datasets.Collect(d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCombinators(t *testing.T) {
	var d datasets.Dataset[int] = ten
	first, rest := datasets.Split(d, 3)
	tests := []struct {
		name string
		got  datasets.Dataset[int]
		want []int
	}{
		{"map", datasets.Map(first, func(v int) (int, error) { return v * v, nil }), []int{0, 1, 4}},
		{"subset", datasets.Subset(d, []int{5, 1, 5}), []int{5, 1, 5}},
		{"split first", first, []int{0, 1, 2}},
		{"split rest", rest, []int{3, 4, 5, 6, 7, 8, 9}},
		{"concat", datasets.Concat(first, datasets.Subset(d, nil), first), []int{0, 1, 2, 0, 1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := all(t, tt.got); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	for _, i := range []int{-1, 10} {
		if _, err := d.At(i); err == nil {
			t.Errorf("example %d of 10 was found", i)
		}
	}
	if _, err := datasets.Concat(first).At(3); err == nil {
		t.Error("example 3 of 3 was found")
	}
	broken := datasets.Map(d, func(int) (int, error) { return 0, errors.New("no") })
	if _, err := broken.At(4); err == nil || !strings.Contains(err.Error(), "example 4: no") {
		t.Errorf("a failing transform gave %v", err)
	}
}

func TestRandomSplits(t *testing.T) {
	var d datasets.Dataset[int] = ten
	a, b := datasets.SplitRandom(d, 7, 1)
	if got := slices.Sorted(slices.Values(append(all(t, a), all(t, b)...))); a.Len() != 7 || !slices.Equal(got, ten) {
		t.Errorf("a split of %d and %d examples: %v", a.Len(), b.Len(), got)
	}
	again, _ := datasets.SplitRandom(d, 7, 1)
	other, _ := datasets.SplitRandom(d, 7, 2)
	if !slices.Equal(all(t, a), all(t, again)) || slices.Equal(all(t, a), all(t, other)) {
		t.Error("a split must depend on its seed and on nothing else")
	}
	parts := datasets.SplitN(d, 3, 1)
	if len(parts) != 3 || parts[0].Len() != 3 || parts[2].Len() != 3 || datasets.SplitN(d, 0, 1) != nil {
		t.Errorf("3 parts of 10: %v", parts)
	}
	folds := datasets.CrossValidation(d, 4, 1)
	var tested []int
	for _, f := range folds {
		tested = append(tested, all(t, f.Test)...)
		if got := slices.Sorted(slices.Values(append(all(t, f.Train), all(t, f.Test)...))); !slices.Equal(got, ten) {
			t.Errorf("a fold holds %v", got)
		}
	}
	if slices.Sort(tested); !slices.Equal(tested, ten) {
		t.Errorf("all folds test %v", tested)
	}
}

func TestStack(t *testing.T) {
	a := datasets.Example{X: []float32{1, 2}, Shape: []int{1, 2}, Label: 3}
	b := datasets.Example{X: []float32{4, 5}, Shape: []int{1, 2}, Label: 6}
	x, labels, err := datasets.Stack([]datasets.Example{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(nn.Floats(x), []float32{1, 2, 4, 5}) || !slices.Equal(x.Shape(), []int{2, 1, 2}) {
		t.Errorf("x = %v of shape %v", nn.Floats(x), x.Shape())
	}
	if !slices.Equal(nn.Ints(labels), []int32{3, 6}) {
		t.Errorf("labels = %v", nn.Ints(labels))
	}
	if _, _, err := datasets.Stack([]datasets.Example{a, {X: []float32{1}, Shape: []int{1}}}); err == nil || !strings.Contains(err.Error(), "example 1 has shape (1)") {
		t.Errorf("two shapes: %v", err)
	}
	if _, _, err := datasets.Stack(nil); err == nil {
		t.Error("an empty batch was stacked")
	}
}

func TestMNIST(t *testing.T) {
	train, test := datasets.MNIST()
	if train.Len() != 60_000 || test.Len() != 10_000 {
		t.Fatalf("%d and %d examples", train.Len(), test.Len())
	}
	e, err := train.At(0)
	if err != nil {
		t.Fatal(err)
	}
	if e.Label != 5 || !slices.Equal(e.Shape, []int{1, 28, 28}) || len(e.X) != 784 || slices.Max(e.X) != 1 || slices.Min(e.X) != 0 {
		t.Errorf("the first example: label %d, shape %v, values from %v to %v", e.Label, e.Shape, slices.Min(e.X), slices.Max(e.X))
	}
	if _, err := test.At(10_000); err == nil {
		t.Error("test image 10000 was found")
	}
}

func TestAugment(t *testing.T) {
	add := func(r *rand.Rand, v int) int { return v + 100*r.IntN(1000) }
	draw := func(seed uint64) []int {
		// What is made of an augmented set varies with it.
		first, rest := datasets.Split(datasets.Concat(datasets.Augment[int](ten, seed, add)), 3)
		same := func(v int) (int, error) { return v, nil }
		d := datasets.Concat(datasets.Map(datasets.Subset(first, []int{0, 1, 2}), same), rest)
		var seen []int
		for pass := range 2 {
			for i := range d.Len() {
				v, err := datasets.AtPass(d, i, pass)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, v)
			}
		}
		if got := all(t, d); !slices.Equal(got, seen[:10]) {
			t.Errorf("At gives %v, pass 0 is %v", got, seen[:10])
		}
		return seen
	}
	a := draw(1)
	if !slices.Equal(a, draw(1)) {
		t.Error("the same seed gave other examples")
	}
	if slices.Equal(a[:10], a[10:]) {
		t.Error("the second pass shows the same examples")
	}
	if slices.Equal(a, draw(2)) {
		t.Error("another seed gave the same examples")
	}
}

func TestJitter(t *testing.T) {
	square := datasets.Example{X: make([]float32, 2*9*9), Shape: []int{2, 9, 9}, Label: 4}
	for y := 3; y < 6; y++ {
		for x := 3; x < 6; x++ {
			square.X[y*9+x], square.X[81+y*9+x] = 1, 0.5
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	if got := (datasets.Jitter{}).Apply(r, square); !slices.Equal(got.X, square.X) || got.Label != 4 {
		t.Errorf("no bounds, yet the image moved: %v", got.X)
	}
	for range 100 {
		got := datasets.Jitter{Shift: 2, Rotate: 20, Scale: 0.1}.Apply(r, square)
		var ink, other float64
		for i := range 81 {
			ink += float64(got.X[i])
			other += float64(got.X[81+i])
		}
		if ink < 6.5 || ink > 11.5 || math.Abs(other-ink/2) > 1e-4 {
			t.Fatalf("9 pixels of ink became %v, the second channel %v", ink, other)
		}
	}
}

func picture(t *testing.T, c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 4, 2))
	for i := range 8 {
		img.Set(i%4, i/4, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImages(t *testing.T) {
	red, white := picture(t, color.RGBA{255, 0, 0, 255}), picture(t, color.White)
	fsys := fstest.MapFS{
		"red/1.png":       {Data: red},
		"white/1.PNG":     {Data: white},
		"white/note.txt":  {Data: []byte("not an image")},
		"white/bad.jpg":   {Data: []byte("not one either")},
		"top-level.png":   {Data: red},
		"white/sub/x.png": {Data: red},
	}
	folder, err := datasets.Images{}.Read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(folder.Classes, []string{"red", "white"}) || folder.Len() != 3 {
		t.Fatalf("classes %v with %d images", folder.Classes, folder.Len())
	}
	e, err := folder.At(0)
	if err != nil || e.Label != 0 || !slices.Equal(e.Shape, []int{3, 2, 4}) || e.X[0] != 1 || e.X[8] != 0 {
		t.Errorf("red image: %+v, %v", e, err)
	}
	if e, err := folder.At(1); err != nil || e.Label != 1 || e.X[8] != 1 {
		t.Errorf("white image: %+v, %v", e, err)
	}
	if _, err := folder.At(2); err == nil || !strings.Contains(err.Error(), "white/bad.jpg") {
		t.Errorf("a broken image: %v", err)
	}
	small, err := datasets.Images{Height: 3, Width: 3, Grey: true}.Read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := small.At(0); err != nil || !slices.Equal(e.Shape, []int{1, 3, 3}) || math.Abs(float64(e.X[4])-0.299) > 1e-3 {
		t.Errorf("red in grey: %+v, %v", e, err)
	}
	missing := filepath.Join(t.TempDir(), "gone")
	for name, c := range map[string]struct {
		images datasets.Images
		folder fs.FS
		says   string
	}{
		"empty":    {datasets.Images{}, fstest.MapFS{}, "the image folder has no subdirectory"},
		"missing":  {datasets.Images{}, os.DirFS(missing), missing},
		"one side": {datasets.Images{Height: 8}, fsys, "size 8x0"},
		"negative": {datasets.Images{Height: -8, Width: -8}, fsys, "size -8x-8"},
	} {
		if _, err := c.images.Read(c.folder); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
	}
}

// Images of several sizes are named, with what makes them equal.
func TestImagesOfSeveralSizes(t *testing.T) {
	var wide bytes.Buffer
	if err := png.Encode(&wide, image.NewGray(image.Rect(0, 0, 9, 2))); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"a/1.png": {Data: picture(t, color.White)}, "b/2.png": {Data: wide.Bytes()}}
	folder, err := datasets.Images{}.Read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = datasets.Stack(all(t, folder.Dataset))
	for _, text := range []string{"a/1.png has shape (3, 2, 4)", "b/2.png has shape (3, 2, 9)", "datasets.Images scales"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}

func ExampleMNIST() {
	train, test := datasets.MNIST()
	first, err := test.At(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(train.Len(), test.Len(), first.Shape, first.Label)
	// Output: 60000 10000 [1 28 28] 7
}
