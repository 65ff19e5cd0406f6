package idx

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var matrix = []byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6}

func gzipped(t testing.TB, in []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(in); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	want := Array{Shape: []int{2, 3}, Data: []byte{1, 2, 3, 4, 5, 6}}
	for name, in := range map[string][]byte{"plain": matrix, "gzip": gzipped(t, matrix)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		says string
	}{
		{"nothing", nil, "magic number"},
		{"floats", []byte{0, 0, 0xd, 1, 0, 0, 0, 1}, "magic number 00 00 0d 01"},
		{"no dimensions", []byte{0, 0, 8, 0}, "magic number"},
		{"cut dimensions", matrix[:9], "2 dimensions"},
		{"too few", matrix[:17], "6 elements, 5"},
		{"too many", append(bytes.Clone(matrix), 9), "6 elements, 7 or more"},
		{"huge", []byte{0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, "larger than"},
		{"cut gzip", gzipped(t, matrix)[:20], "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(tt.in)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want ErrFormat saying %q", err, tt.says)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(matrix)
	f.Add(gzipped(f, matrix))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		n := 1
		for _, d := range a.Shape {
			n *= d
		}
		if n != len(a.Data) {
			t.Fatalf("shape %v with %d elements", a.Shape, len(a.Data))
		}
	})
}
