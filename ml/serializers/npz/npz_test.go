package npz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// npy builds the bytes of an .npy from a header literal and elements.
func npy(header string, data any) []byte {
	var b bytes.Buffer
	b.WriteString(magic + "\x01\x00")
	b.Write([]byte{byte(len(header)), byte(len(header) >> 8)})
	b.WriteString(header)
	if raw, ok := data.([]byte); ok {
		b.Write(raw)
	} else if err := binary.Write(&b, binary.LittleEndian, data); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestReadArray(t *testing.T) {
	tests := []struct {
		name   string
		header string
		data   any
		want   Array
	}{
		{"float32 matrix", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", []float32{1, 2, 3, 4, 5, 6},
			Array{Float32, []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}},
		{"fortran order", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", []float32{1, 4, 2, 5, 3, 6},
			Array{Float32, []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}},
		{"fortran cube", "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2)}", []byte{0, 4, 2, 6, 1, 5, 3, 7},
			Array{Uint8, []int{2, 2, 2}, []uint8{0, 1, 2, 3, 4, 5, 6, 7}}},
		{"scalar", "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", []int64{42},
			Array{Int64, nil, []int64{42}}},
		{"vector", "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", []float64{1.5, -2},
			Array{Float64, []int{2}, []float64{1.5, -2}}},
		{"half", "{'descr': '<f2', 'fortran_order': False, 'shape': (6,), }",
			[]uint16{0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000, 0x3555},
			Array{Float16, []int{6}, []float32{1, -2, 0x1p-24, float32(math.Inf(1)), float32(math.Copysign(0, -1)), 0.333251953125}}},
		{"big-endian", "{'descr': '>i2', 'fortran_order': False, 'shape': (1,), }", []byte{1, 2},
			Array{Int16, []int{1}, []int16{258}}},
		{"bool", "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", []byte{0, 1},
			Array{Bool, []int{2}, []bool{false, true}}},
		{"unicode", "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", []uint32{'h', 0xe9, 0, 0x1f642, 0, 0},
			Array{Unicode, []int{2}, []string{"hé", "🙂"}}},
		{"bytes", "{'descr': '|S3', 'fortran_order': False, 'shape': (), }", []byte("ab\x00"),
			Array{Bytes, nil, []string{"ab"}}},
		{"empty", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7), }", []byte{},
			Array{Float32, []int{0, 7}, []float32{}}},
		{"keys in another order", `{"shape": (1L,), "fortran_order": False, "descr": "<u4"}`, []uint32{7},
			Array{Uint32, []int{1}, []uint32{7}}},
		{"pickle", "{'descr': '|O', 'fortran_order': False, 'shape': (), }", []byte("\x80\x04N."),
			Array{Object, nil, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadArray(bytes.NewReader(npy(tt.header, tt.data)), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestReadArrayRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want error
		says string
	}{
		{"nothing", nil, ErrFormat, "magic string"},
		{"other file", []byte("PK\x03\x04....."), ErrFormat, "magic string"},
		{"version", []byte(magic + "\x09\x00\x00\x00"), ErrFormat, "version 9.0"},
		{"huge header", []byte(magic + "\x02\x00\xff\xff\xff\xff"), ErrTooLarge, "header of 4294967295 bytes"},
		{"huge shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999)}", []byte{}), ErrTooLarge, "99999999"},
		{"overflowing shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}", []byte{}), ErrTooLarge, "shape"},
		{"negative shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", []byte{}), ErrFormat, "tuple"},
		{"truncated", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", []float32{1}), ErrFormat, "ends after 4 of 12"},
		{"claimed but absent", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (100000000,)}", []byte{1}), ErrFormat, "ends after 1 of 400000000"},
		{"complex", npy("{'descr': '<c8', 'fortran_order': False, 'shape': ()}", []byte{}), ErrFormat, `"<c8"`},
		{"record", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", []byte{}), ErrFormat, "simple element types"},
		{"no shape", npy("{'descr': '<f4', 'fortran_order': False}", []byte{}), ErrFormat, "needs descr"},
		{"repeated key", npy("{'descr': '<f4', 'descr': '<f4'}", []byte{}), ErrFormat, "repeated key"},
		{"unknown key", npy("{'colour': 'red'}", []byte{}), ErrFormat, "colour"},
		{"not a character", npy("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", []uint32{0xd800}), ErrFormat, "0xd800"},
		{"wide strings", npy("{'descr': '<U500000000', 'fortran_order': False, 'shape': (2,)}", []byte{}), ErrTooLarge, "bytes"},
		{"empty strings", npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,)}", []byte{}), ErrTooLarge, "empty strings"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadArray(bytes.NewReader(tt.in), 0)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
}

// TestFixtures reads files that Chainer 7.8.1 wrote, checks known values, and
// writes them back unchanged.
func TestFixtures(t *testing.T) {
	for _, name := range []string{"mlp.npz", "cnn_bn_dropout_io.npz", "trainer_snapshot.npz"} {
		t.Run(name, func(t *testing.T) {
			entries, err := ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name)
			if err := WriteFile(path, entries); err != nil {
				t.Fatal(err)
			}
			again, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(entries, again) {
				t.Error("what was written reads back differently")
			}
		})
	}
	entries, err := ReadFile("testdata/trainer_snapshot.npz")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Array{}
	for _, e := range entries {
		byName[e.Name] = e.Array
	}
	if n, err := byName["updater/iteration"].Int(); n != 10 || err != nil {
		t.Errorf("updater/iteration = %d, %v; want 10", n, err)
	}
	if log, err := byName["extensions/LogReport/_log"].Text(); err != nil || !strings.HasPrefix(log, "[{") && !strings.HasPrefix(log, "[\n") {
		t.Errorf("the log is %q, %v; want JSON", log, err)
	}
	if a := byName["updater/iterator:main/is_new_epoch"]; a.Type != Bool {
		t.Errorf("is_new_epoch is %s, want bool", a.Type)
	}
	if a := byName["updater/model:main/predictor/l1/W"]; !reflect.DeepEqual(a.Shape, []int{9, 6}) {
		t.Errorf("l1/W has shape %v, want [9 6]", a.Shape)
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	w, err := NewArray([]int{2, 2}, []float32{1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	entries := []Entry{{"l1/W", w}, {"names", Array{Unicode, []int{2}, []string{"a", "längst"}}}, {"t", Scalar(int64(3))},
		{"on", Scalar(true)}, {"none", Array{Float64, []int{0}, []float64{}}}}
	var a, b bytes.Buffer
	if err := errors.Join(Write(&a, entries), Write(&b, entries)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two writes of the same entries differ")
	}
	got, err := Read(bytes.NewReader(a.Bytes()), int64(a.Len()), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, entries) {
		t.Errorf("got %v, want %v", got, entries)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := Scalar(float32(1))
	tests := []struct {
		name    string
		entries []Entry
	}{
		{"twice", []Entry{{"a", one}, {"a", one}}},
		{"shape", []Entry{{"a", Array{Float32, []int{2}, []float32{1}}}}},
		{"object", []Entry{{"a", Array{Object, nil, nil}}}},
		{"type", []Entry{{"a", Array{Float32, nil, []complex64{1}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.npz")
			if err := WriteFile(path, tt.entries); err == nil || !strings.Contains(err.Error(), `"a"`) {
				t.Errorf("got %v, want an error that names the array", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("a failed write left %v behind", left)
			}
		})
	}
	if _, err := NewArray([]int{3}, []int32{1}); !errors.Is(err, ErrFormat) {
		t.Errorf("NewArray of a wrong shape: %v", err)
	}
}

// rawZip builds an archive whose entries may declare false sizes.
func rawZip(t testing.TB, declared uint64, method uint16, names ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		to, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, UncompressedSize64: declared, CompressedSize64: 4})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte("abcd")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadRefuses(t *testing.T) {
	zeros := make([]float32, 1<<20)
	var big bytes.Buffer
	if err := Write(&big, []Entry{{"a", Array{Float32, []int{1 << 20}, zeros}}, {"b", Array{Float32, []int{1 << 20}, zeros}}}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		in     []byte
		limits Limits
		want   error
		says   string
	}{
		{"no zip", []byte("hello"), Limits{}, ErrFormat, "zip"},
		{"foreign entry", rawZip(t, 4, zip.Store, "readme.txt"), Limits{}, ErrFormat, "readme.txt"},
		{"bomb", rawZip(t, 1<<40, zip.Deflate, "w.npy"), Limits{}, ErrFormat, "cannot hold"},
		{"stored with another size", rawZip(t, 5, zip.Store, "w.npy"), Limits{}, ErrFormat, "declares 5"},
		{"method", rawZip(t, 4, 12, "w.npy"), Limits{}, ErrFormat, "method 12"},
		{"broken deflate", rawZip(t, 400, zip.Deflate, "w.npy"), Limits{}, ErrFormat, `"w"`},
		{"limit over all", big.Bytes(), Limits{MaxBytes: 5 << 20}, ErrTooLarge, `"b"`},
		{"entries", big.Bytes(), Limits{MaxEntries: 1}, ErrTooLarge, "2 arrays"},
		{"truncated", big.Bytes()[:big.Len()-10], Limits{}, ErrFormat, "zip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.in), int64(len(tt.in)), tt.limits)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "absent.npz")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

func TestDamagedByteIsNoticed(t *testing.T) {
	whole, err := os.ReadFile("testdata/mlp.npz")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[100] ^= 0x40 // within the first entry's deflated bytes
	if _, err := Read(bytes.NewReader(damaged), int64(len(damaged)), Limits{}); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

func TestConversions(t *testing.T) {
	if f, err := Scalar(int32(-3)).Float32s(); err != nil || f[0] != -3 {
		t.Errorf("Float32s = %v, %v", f, err)
	}
	if n, err := Scalar(true).Int(); err != nil || n != 1 {
		t.Errorf("Int of true = %v, %v", n, err)
	}
	if _, err := Scalar(1.5).Int(); !errors.Is(err, ErrType) {
		t.Errorf("Int of a float: %v", err)
	}
	if _, err := Scalar("x").Float(); !errors.Is(err, ErrType) {
		t.Errorf("Float of a string: %v", err)
	}
	if _, err := (Array{Type: Int8, Shape: []int{2}, Data: []int8{1, 2}}).Int(); !errors.Is(err, ErrType) {
		t.Errorf("Int of two: %v", err)
	}
}

func FuzzReadArray(f *testing.F) {
	f.Add(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", []float32{1, 4, 2, 5, 3, 6}))
	f.Add(npy("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", []uint32{'h', 0xe9, 0, 0x1f642, 0, 0}))
	f.Add(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (0, 4), }", []byte{}))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := ReadArray(bytes.NewReader(in), 1<<20)
		if err != nil || a.Type == Object || a.Type == Bytes { // bytes need not be text
			return
		}
		if n := reflect.ValueOf(a.Data).Len(); n != a.Len() {
			t.Fatalf("shape %v with %d elements", a.Shape, n)
		}
		var out bytes.Buffer
		if err := WriteArray(&out, a); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

func FuzzRead(f *testing.F) {
	var small bytes.Buffer
	if err := Write(&small, []Entry{{"l1/b", Array{Float32, []int{2}, []float32{1, 2}}}, {"log", Scalar("[]")}}); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Add(rawZip(f, 1<<40, zip.Deflate, "w.npy"))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := Read(bytes.NewReader(in), int64(len(in)), Limits{MaxBytes: 1 << 22, MaxEntries: 100})
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Array.Type != Object && reflect.ValueOf(e.Array.Data).Len() != e.Array.Len() {
				t.Fatalf("array %q: shape %v does not match its elements", e.Name, e.Array.Shape)
			}
		}
	})
}
