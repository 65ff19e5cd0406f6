package iterators_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/serializers"
)

func numbers(n int) datasets.Dataset[int] {
	return datasets.Func(n, func(i int) (int, error) { return i, nil })
}

func TestOrdered(t *testing.T) {
	it := iterators.Serial(numbers(5), 2, iterators.Ordered())
	want := []string{"[0 1] 0 0.4 false", "[2 3] 0 0.8 false", "[4 0] 1 1.2 true", "[1 2] 1 1.6 false", "[3 4] 2 2 true"}
	for i, w := range want {
		batch, err := it.Next()
		if got := fmt.Sprint(batch, it.Epoch(), it.EpochDetail(), it.IsNewEpoch()); err != nil || got != w {
			t.Errorf("batch %d: got %s, %v; want %s", i, got, err, w)
		}
	}
	if it.PreviousEpochDetail() != 1.6 {
		t.Errorf("previous epoch detail %v, want 1.6", it.PreviousEpochDetail())
	}
	it.Reset()
	if batch, err := it.Next(); err != nil || !slices.Equal(batch, []int{0, 1}) {
		t.Errorf("after Reset: %v, %v", batch, err)
	}
}

func TestOnce(t *testing.T) {
	it := iterators.Serial(numbers(5), 3, iterators.Once())
	var seen []int
	for {
		batch, err := it.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, batch...)
	}
	if !slices.Equal(seen, []int{0, 1, 2, 3, 4}) {
		t.Errorf("one pass gave %v", seen)
	}
}

func TestShuffle(t *testing.T) {
	draw := func(seed uint64, opts ...iterators.Option) []int {
		it := iterators.Serial(numbers(40), 8, append(opts, iterators.Seed(seed))...)
		var all []int
		for range 10 { // two passes
			batch, err := it.Next()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, batch...)
		}
		return all
	}
	a := draw(1)
	first, second := slices.Sorted(slices.Values(a[:40])), slices.Sorted(slices.Values(a[40:]))
	for i := range 40 {
		if first[i] != i || second[i] != i {
			t.Fatalf("a pass doesn't show each example once: %v", a)
		}
	}
	if slices.Equal(a[:40], a[40:]) {
		t.Error("both passes have the same order")
	}
	if !slices.Equal(a, draw(1)) || !slices.Equal(a, draw(1, iterators.Workers(3))) {
		t.Error("the same seed gave another order")
	}
	if slices.Equal(a, draw(2)) {
		t.Error("another seed gave the same order")
	}
}

func TestBatchLargerThanDataset(t *testing.T) {
	it := iterators.Serial(numbers(2), 5, iterators.Ordered())
	batch, err := it.Next()
	if err != nil || !slices.Equal(batch, []int{0, 1, 0, 1, 0}) || it.Epoch() != 2 {
		t.Errorf("got %v in epoch %d, %v", batch, it.Epoch(), err)
	}
}

func TestResume(t *testing.T) {
	it := iterators.Serial(numbers(7), 3, iterators.Seed(5))
	for range 4 {
		if _, err := it.Next(); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := serializers.WriteNPZ(&file, it); err != nil {
		t.Fatal(err)
	}
	again := iterators.Serial(numbers(7), 3, iterators.Seed(5))
	if err := serializers.LoadNPZBytes(file.Bytes(), again); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		want, err1 := it.Next()
		want = slices.Clone(want)
		got, err2 := again.Next()
		if err1 != nil || err2 != nil || !slices.Equal(got, want) || it.EpochDetail() != again.EpochDetail() {
			t.Fatalf("batch %d after resuming: %v, want %v (%v, %v)", i, got, want, err1, err2)
		}
	}
	other := iterators.Serial(numbers(9), 3)
	if err := serializers.LoadNPZBytes(file.Bytes(), other); !errors.Is(err, serializers.ErrShape) {
		t.Errorf("loading into another data set: %v", err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := iterators.Serial(numbers(3), 0).Next(); err == nil {
		t.Error("batches of 0 examples are accepted")
	}
	if _, err := iterators.Serial(numbers(0), 3).Next(); err == nil {
		t.Error("an empty data set is accepted")
	}
	broken := datasets.Func(9, func(i int) (int, error) {
		if i == 7 {
			return 0, errors.New("unreadable")
		}
		return i, nil
	})
	for _, workers := range []int{1, 4} {
		_, err := iterators.Serial(broken, 9, iterators.Workers(workers)).Next()
		if err == nil || !strings.Contains(err.Error(), "example 7: unreadable") {
			t.Errorf("%d workers: got %v", workers, err)
		}
	}
}

func ExampleSerial() {
	letters := datasets.Slice[string]{"a", "b", "c", "d", "e"}
	it := iterators.Serial(letters, 2, iterators.Once())
	for batch, err := it.Next(); err == nil; batch, err = it.Next() {
		fmt.Println(batch)
	}
	// Output:
	// [a b]
	// [c d]
	// [e]
}
