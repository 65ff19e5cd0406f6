package datasets

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// cifarImage is an image of a CIFAR file: labels, then a plane of each colour.
func cifarImage(labels []byte, red, green, blue byte) []byte {
	planes := [][]byte{labels}
	for _, c := range []byte{red, green, blue} {
		planes = append(planes, bytes.Repeat([]byte{c}, cifarSide*cifarSide))
	}
	return slices.Concat(planes...)
}

func TestCIFAR(t *testing.T) {
	one := func(label byte) *fstest.MapFile { return &fstest.MapFile{Data: cifarImage([]byte{label}, 255, 0, 51)} }
	folder := fstest.MapFS{"test_batch.bin": one(9)}
	for i, name := range []string{"1", "2", "3", "4", "5"} {
		folder["data_batch_"+name+".bin"] = one(byte(i))
	}
	folder["data_batch_2.bin"].Data = append(folder["data_batch_2.bin"].Data, cifarImage([]byte{7}, 0, 255, 0)...)
	train, test, err := CIFAR10(folder)
	if err != nil || train.Len() != 6 || test.Len() != 1 {
		t.Fatalf("%v, %v, %v", train, test, err)
	}
	var labels []int32
	for i := range train.Len() {
		e, err := train.At(i)
		if err != nil || !slices.Equal(e.Shape, []int{3, 32, 32}) || len(e.X) != cifarPixels {
			t.Fatalf("image %d: %v %v", i, e.Shape, err)
		}
		labels = append(labels, e.Label)
	}
	if !slices.Equal(labels, []int32{0, 1, 7, 2, 3, 4}) {
		t.Errorf("labels %v", labels)
	}
	if e, _ := test.At(0); e.Label != 9 || e.X[0] != 1 || e.X[1024] != 0 || e.X[3071] != 0.2 {
		t.Errorf("colours %v %v %v, label %d", e.X[0], e.X[1024], e.X[3071], e.Label)
	}

	fine := fstest.MapFS{"train.bin": {Data: cifarImage([]byte{3, 99}, 0, 0, 0)}, "test.bin": {Data: cifarImage([]byte{19, 42}, 0, 0, 0)}}
	train, test, err = CIFAR100(fine)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := train.At(0)
	b, _ := test.At(0)
	if a.Label != 99 || b.Label != 42 {
		t.Errorf("classes %d and %d, want 99 and 42", a.Label, b.Label)
	}
}

func TestCIFARRefuses(t *testing.T) {
	whole := cifarImage([]byte{0, 1}, 1, 2, 3)
	for name, c := range map[string]struct {
		train []byte
		says  string
	}{
		"cut":   {whole[:2000], "train.bin: 2000 bytes are no whole number of images of 3074"},
		"empty": {[]byte{}, "0 bytes"},
		"class": {slices.Concat(whole, cifarImage([]byte{0, 100}, 0, 0, 0)), "image 1 has label 100, want 0 to 99"},
	} {
		_, _, err := CIFAR100(fstest.MapFS{"train.bin": {Data: c.train}, "test.bin": {Data: whole}})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
	}
	if _, _, err := CIFAR10(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "data_batch_1.bin") {
		t.Errorf("no files: %v", err)
	}
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifarImage([]byte{3}, 1, 2, 3), 1, 10)
	f.Add(cifarImage([]byte{3, 200}, 1, 2, 3), 2, 100)
	f.Fuzz(func(t *testing.T, raw []byte, labels, classes int) {
		if labels < 1 || labels > 2 {
			return
		}
		d, err := decodeCIFAR(raw, labels, classes)
		if err != nil {
			return
		}
		for i := range d.Len() {
			if e, err := d.At(i); err != nil || int(e.Label) >= classes || len(e.X) != cifarPixels {
				t.Fatalf("image %d: %v, label %d", i, err, e.Label)
			}
		}
	})
}

func TestVocabulary(t *testing.T) {
	var v Vocabulary
	train, err := v.Read(strings.NewReader(" the camera sees \n the room\n"))
	if err != nil || !slices.Equal(train, []int32{0, 1, 2, 3, 0, 4, 3}) {
		t.Errorf("%v, %v", train, err)
	}
	test, err := v.Read(strings.NewReader("the node"))
	if err != nil || !slices.Equal(test, []int32{0, 5, 3}) {
		t.Errorf("%v, %v", test, err)
	}
	if id, ok := v.ID("room"); id != 4 || !ok || v.Word(3) != EndOfSentence || v.Word(6) != "" || v.Word(-1) != "" || v.Len() != 6 {
		t.Errorf("words %v", v.Words())
	}
	if _, ok := v.ID("driver"); ok {
		t.Error("a word that never came has a number")
	}
	if _, err := v.Read(strings.NewReader(strings.Repeat("a", maxLine+1))); err == nil {
		t.Error("an endless line was accepted")
	}
}

func FuzzVocabulary(f *testing.F) {
	f.Add("no it was n't black monday \n but while the <unk>\n")
	f.Fuzz(func(t *testing.T, text string) {
		var v Vocabulary
		ids, err := v.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		var back []string
		for _, id := range ids {
			word := v.Word(id)
			if again, ok := v.ID(word); !ok || again != id || word == "" {
				t.Fatalf("number %d is %q, which is number %d", id, word, again)
			}
			if word != EndOfSentence {
				back = append(back, word)
			}
		}
		want := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == EndOfSentence })
		if !slices.Equal(back, want) {
			t.Fatalf("%q became %q", want, back)
		}
	})
}
