package encoding_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

type point struct {
	X, Y int
	Tags []string `msgpack:"t"`
}

// roundTrip writes values one after the other and reads them back, and compares
// the bytes with what the msgpack library reads.
func roundTrip[T any](t *testing.T, values ...T) {
	t.Helper()
	c, err := encoding.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, v := range values {
		if b, err = c.Append(b, v); err != nil {
			t.Fatal(err)
		}
	}
	rest := b
	dec := msgpack.NewDecoder(bytes.NewReader(b))
	for _, want := range values {
		var got, library T
		if got, rest, err = c.Decode(rest); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%T: got %v, %v, want %v", want, got, err, want)
		}
		if err := dec.Decode(&library); err != nil || !reflect.DeepEqual(library, want) {
			t.Errorf("%T: the library reads %v, %v, want %v", want, library, err, want)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	for cut := range min(len(b), 300) { // a value that is cut off is an error
		if _, tail, err := c.Decode(b[:cut:cut]); err == nil && len(tail) == 0 && len(values) == 1 {
			t.Errorf("%T: %d of %d bytes were taken for whole", values[0], cut, len(b))
		}
	}
}

func TestRoundTrips(t *testing.T) {
	edges := []int64{0, 1, -1, 31, -32, -33, 127, 128, -128, -129, 255, 256, 32767, -32768, -32769, 65535, 65536, math.MaxInt32, math.MinInt32, math.MinInt32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MinInt64}
	for _, v := range edges {
		roundTrip(t, v)
		roundTrip(t, int(v))
		roundTrip(t, uint64(v))
		roundTrip(t, int32(v))
		roundTrip(t, uint16(v))
		roundTrip(t, int8(v))
		roundTrip(t, uint8(v))
	}
	roundTrip(t, edges...)
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		roundTrip(t, strings.Repeat("é", n)[:n])
		roundTrip(t, bytes.Repeat([]byte{7}, n))
		roundTrip(t, make([]int, n))
	}
	roundTrip(t, float32(math.Pi), float32(math.Inf(1)), 0)
	roundTrip(t, math.Pi, math.Copysign(0, -1), math.MaxFloat64)
	roundTrip(t, true, false)
	roundTrip(t, []byte(nil))
	roundTrip(t, []string{"a", ""}, nil, []string{})
	roundTrip(t, []float32{1, 2}, []float32{3})
	roundTrip(t, []float64{1})
	roundTrip(t, point{1, -2, []string{"t"}}, point{})
	roundTrip(t, map[string][]int{"a": {1}, "b": nil})
	roundTrip(t, &point{X: 3})
	roundTrip(t, time.Unix(1, 2).UTC().Local())
}

func TestUnencodable(t *testing.T) {
	for _, err := range []error{
		second(encoding.For[func()]()), second(encoding.For[chan int]()), second(encoding.For[any]()),
		second(encoding.For[[]error]()), second(encoding.For[struct{ f int }]()),
		second(encoding.For[map[string]struct{ F func() }]()), second(encoding.For[complex128]()),
	} {
		if !errors.Is(err, encoding.ErrUnencodable) {
			t.Error(err)
		}
	}
	if err := second(encoding.For[struct{ F func() }]()); !strings.Contains(err.Error(), "field F") {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestCorruptBytes(t *testing.T) {
	ints, _ := encoding.For[int8]()
	words, _ := encoding.For[[]string]()
	for _, b := range [][]byte{{}, {0xc1}, {0xcd, 1}, {0xcd, 1, 0}} {
		if _, _, err := ints.Decode(b); !errors.Is(err, encoding.ErrCorrupt) {
			t.Errorf("% x: %v", b, err)
		}
	}
	// A length that the bytes don't hold must not be allocated.
	if _, _, err := words.Decode([]byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0xa0}); !errors.Is(err, encoding.ErrCorrupt) {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	c, err := encoding.For[[]string]()
	if err != nil {
		f.Fatal(err)
	}
	p, _ := encoding.For[point]()
	n, _ := encoding.For[int64]()
	b, _ := encoding.For[[]byte]()
	seed, _ := c.Append(nil, []string{"a", "bc"})
	f.Add(seed)
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		if v, rest, err := c.Decode(in); err == nil {
			again, _ := c.Append(nil, v)
			if w, _, err := c.Decode(again); err != nil || len(w) != len(v) || len(rest) > len(in) {
				t.Errorf("%q, %v", w, err)
			}
		}
		_, _, _ = p.Decode(in)
		_, _, _ = n.Decode(in)
		_, _, _ = b.Decode(in)
	})
}

func BenchmarkString(b *testing.B) {
	c, _ := encoding.For[string]()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = c.Append(buf[:0], "twelve bytes")
		if _, _, err := c.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleFor() {
	c, err := encoding.For[[]int]()
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := c.Append(nil, []int{1, 200, -1})
	v, _, _ := c.Decode(b)
	fmt.Printf("% x %v\n", b, v)
	// Output: 93 01 cc c8 ff [1 200 -1]
}
