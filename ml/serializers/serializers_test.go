package serializers_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// layer is a small object with every kind of value.
type layer struct {
	shape []int
	W     []float32
	N     int
	Rate  float64
	On    bool
	Log   string
	Order []int
	inner *layer
}

func (l *layer) Serialize(s *serializers.Serializer) {
	s.Float32s("W", l.shape, l.W)
	s.Int("N", &l.N)
	s.Float("rate", &l.Rate)
	s.Bool("on", &l.On)
	s.Text("log", &l.Log)
	s.Ints("order", &l.Order)
	if l.inner != nil {
		l.inner.Serialize(s.Child("inner"))
	}
}

func full() *layer {
	return &layer{[]int{1, 2}, []float32{1, 2}, 3, 0.5, true, "[é]", []int{2, 0, 1},
		&layer{[]int{1}, []float32{7}, 8, 9, false, "", []int{}, nil}}
}

func empty() *layer {
	return &layer{shape: []int{1, 2}, W: make([]float32, 2), inner: &layer{shape: []int{1}, W: make([]float32, 1)}}
}

func TestNothingToSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := serializers.SaveNPZ(path, nothing{}); !errors.Is(err, serializers.ErrEmpty) {
		t.Errorf("saving an object without values: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file, %v", err)
	}
}

// TestDecodesWhatFits: names and shapes are held against the object before any
// element is read, so a file costs what the object is worth. The elements that are
// not to be read aren't there.
func TestDecodesWhatFits(t *testing.T) {
	header := func(shape string) []byte {
		text := "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}"
		return append([]byte("\x93NUMPY\x01\x00"), append([]byte{byte(len(text)), 0}, text...)...)
	}
	w := append(header("(1, 2)"), 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
	for _, c := range []struct {
		name  string
		files map[string][]byte
		is    error
		says  string
	}{
		{"as it should be", map[string][]byte{"W": w, "N": append(header("()"), 0, 0, 0, 0)}, nil, ""},
		{"another name", map[string][]byte{"W": w, "N": append(header("()"), 0, 0, 0, 0), "V": header("(100000000,)")}, serializers.ErrExtra, "V"},
		{"another shape", map[string][]byte{"W": header("(100000000,)"), "N": append(header("()"), 0, 0, 0, 0)}, serializers.ErrShape, "expected (1, 2), found (100000000)"},
		{"many for one", map[string][]byte{"W": w, "N": header("(100000000,)")}, serializers.ErrType, "shape (100000000) where one value is wanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file bytes.Buffer
			z := zip.NewWriter(&file)
			for name, content := range c.files {
				to, err := z.Create(name + ".npy")
				if err == nil {
					_, err = to.Write(content)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			m := &matrix{W: make([]float32, 2)}
			err := serializers.LoadNPZBytes(file.Bytes(), m)
			if c.is == nil {
				if err != nil || m.W[0] != 1 || m.W[1] != 2 {
					t.Errorf("error %v, W %v", err, m.W)
				}
				return
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || errors.Is(err, npz.ErrFormat) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.says)
			}
		})
	}
}

// matrix is a small object with an array and a number.
type matrix struct {
	W []float32
	N float64
}

func (m *matrix) Serialize(s *serializers.Serializer) {
	s.Float32s("W", []int{1, 2}, m.W)
	s.Float("N", &m.N)
}

type nothing struct{}

func (nothing) Serialize(*serializers.Serializer) {}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := serializers.SaveNPZ(path, full()); err != nil {
		t.Fatal(err)
	}
	got := empty()
	if err := serializers.LoadNPZ(path, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, full()) {
		t.Errorf("got %+v, want %+v", got, full())
	}
	inner := &layer{shape: []int{1}, W: make([]float32, 1)}
	if err := serializers.LoadNPZ(path, inner, serializers.Prefix("inner/")); err != nil || inner.W[0] != 7 {
		t.Errorf("with a prefix: %+v, %v", inner, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	var b bytes.Buffer
	if err := serializers.WriteNPZ(&b, full()); err != nil {
		t.Fatal(err)
	}
	deeper := empty()
	deeper.inner.inner = &layer{shape: []int{1}, W: make([]float32, 1)}
	wide := empty()
	wide.inner.shape, wide.inner.W = []int{3, 2}, make([]float32, 6)
	flat := empty()
	flat.inner = nil
	tests := []struct {
		name string
		into serializers.Stateful
		opts []serializers.Option
		want error
		says string
	}{
		{"missing", deeper, nil, serializers.ErrMissing, "inner/inner/W, inner/inner/N"},
		{"extra", flat, nil, serializers.ErrExtra, "inner/N, inner/W"},
		{"shape", wide, nil, serializers.ErrShape, "inner/W: shape in the file does not fit: expected (3, 2), found (1)"},
		{"type", numeric{}, []serializers.Option{serializers.AllowExtra()}, serializers.ErrType, "log"},
		{"prefix", empty(), []serializers.Option{serializers.Prefix("predictor/")}, nil, `no key starts with "predictor/"; the file has W, N`},
		{"limit", empty(), []serializers.Option{serializers.MaxBytes(100)}, nil, "larger than the limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := fmt.Sprintf("%+v", tt.into)
			err := serializers.LoadNPZBytes(b.Bytes(), tt.into, tt.opts...)
			if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v saying %q", err, tt.want, tt.says)
			}
			if after := fmt.Sprintf("%+v", tt.into); after != before {
				t.Errorf("a failed load changed the object from %s to %s", before, after)
			}
		})
	}
	if err := serializers.LoadNPZBytes(b.Bytes(), flat, serializers.AllowExtra()); err != nil || flat.N != 3 {
		t.Errorf("AllowExtra: %+v, %v", flat, err)
	}
	if err := serializers.LoadNPZBytes(b.Bytes(), deeper, serializers.AllowMissing()); err != nil || deeper.N != 3 {
		t.Errorf("AllowMissing: %+v, %v", deeper, err)
	}
	if err := serializers.LoadNPZ("absent.npz", flat); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

// classifier keeps a layer below "predictor/".
type classifier struct{ *layer }

func (c classifier) Serialize(s *serializers.Serializer) { c.layer.Serialize(s.Child("predictor")) }

// TestLoadNamesThePrefix: a saved Classifier is no bare network, and says so.
func TestLoadNamesThePrefix(t *testing.T) {
	var b bytes.Buffer
	if err := serializers.WriteNPZ(&b, classifier{full()}); err != nil {
		t.Fatal(err)
	}
	err := serializers.LoadNPZBytes(b.Bytes(), empty())
	if want := `the file has them below "predictor/": load with serializers.Prefix("predictor/")`; !errors.Is(err, serializers.ErrMissing) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %s", err, want)
	}
}

// numeric asks for the string as a number.
type numeric struct{}

func (numeric) Serialize(s *serializers.Serializer) {
	var n int
	s.Int("log", &n)
}

func ExampleSaveNPZ() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "layer.npz")
	if err := serializers.SaveNPZ(path, full()); err != nil {
		fmt.Println(err)
		return
	}
	again := empty()
	if err := serializers.LoadNPZ(path, again); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(again.W, again.Log, again.inner.W)
	// Output: [1 2] [é] [7]
}
