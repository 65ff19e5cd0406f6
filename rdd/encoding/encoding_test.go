package encoding_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
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
}

// Types of the tests below.
type (
	hidden struct {
		A string
		b int
	}
	leftOut struct {
		A string
		B int `msgpack:"-"`
	}
	inner struct{ X, Y int }
	outer struct{ inner }
	twice struct {
		inner
		X int
	}
	sameTag struct {
		A int `msgpack:"n"`
		B int `msgpack:"n"`
	}
	oneWay  struct{ n int }
	options struct {
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		_        int
	}
)

func (oneWay) MarshalText() ([]byte, error) { return nil, nil }

func TestUnencodable(t *testing.T) {
	_, _, _ = hidden{b: 1}.b, oneWay{1}.n, options{}._msgpack
	for _, tt := range []struct {
		err  error
		says string
	}{
		{second(encoding.For[func()]()), "no encoding"},
		{second(encoding.For[chan int]()), "no encoding"},
		{second(encoding.For[any]()), "interface"},
		{second(encoding.For[[]error]()), "interface"},
		{second(encoding.For[complex128]()), "no encoding"},
		{second(encoding.For[map[string]struct{ F func() }]()), "field F"},
		{second(encoding.For[hidden]()), "field b of encoding_test.hidden is not exported"},
		{second(encoding.For[map[string][]*hidden]()), "field b of"},
		{second(encoding.For[struct{ H hidden }]()), "field H: field b of"},
		{second(encoding.For[sync.Mutex]()), "is not exported"},
		{second(encoding.For[oneWay]()), "MarshalText and not UnmarshalText"},
		{second(encoding.For[map[string]big.Int]()), "use *big.Int"},
		{second(encoding.For[map[string]struct{ B [1]big.Int }]()), "use *big.Int"},
		{second(encoding.For[twice]()), `both encoded as "X"`},
		{second(encoding.For[sameTag]()), `both encoded as "n"`},
		{second(encoding.ForKey[leftOut]()), "field B of encoding_test.leftOut is left out"},
		{second(encoding.ForKey[*string]()), "by address"},
		{second(encoding.ForKey[struct{ P [2]*int }]()), "by address"},
		{second(encoding.ForKey[*big.Int]()), "by address"},
		{second(encoding.ForKey[time.Time]()), "UnixNano"},
		{second(encoding.ForKey[struct{ T time.Time }]()), "UnixNano"},
	} {
		if !errors.Is(tt.err, encoding.ErrUnencodable) || !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%v, want %s", tt.err, tt.says)
		}
	}
}

func TestOwnEncodings(t *testing.T) {
	c, err := encoding.For[[]*big.Int]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append(nil, []*big.Int{big.NewInt(-7), nil})
	if v, _, e := c.Decode(b); err != nil || e != nil || len(v) != 2 || v[0].Int64() != -7 || v[1] != nil {
		t.Error(v, err, e)
	}
	u, err := encoding.For[struct{ U url.URL }]()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = u.Append(nil, struct{ U url.URL }{url.URL{Scheme: "http", Host: "a"}}); err != nil {
		t.Fatal(err)
	}
	if v, _, err := u.Decode(b); err != nil || v.U.String() != "http://a" {
		t.Error(v, err)
	}
	roundTrip(t, netip.MustParseAddr("::1%eth0"), netip.Addr{})
	roundTrip(t, big.NewInt(12))
	roundTrip(t, outer{inner{1, 2}})
	roundTrip(t, options{A: 3}, options{})
	if _, err := encoding.For[leftOut](); err != nil {
		t.Error(err)
	}
}

// Equal keys have equal encodings: 0 and -0, also within structs.
func TestKeys(t *testing.T) {
	type key struct {
		A [2]float32
		N netip.Addr
	}
	minus := math.Copysign(0, -1)
	same := func(c encoding.Codec[key], a, b key) {
		x, err := c.Append(nil, a)
		y, err2 := c.Append(nil, b)
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("% x and % x: %v, %v", x, y, err, err2)
		}
	}
	c, err := encoding.ForKey[key]()
	if err != nil {
		t.Fatal(err)
	}
	same(c, key{A: [2]float32{0, float32(minus)}}, key{A: [2]float32{float32(minus), 0}})
	f, _ := encoding.ForKey[float64]()
	x, _ := f.Append(nil, minus)
	y, _ := f.Append(nil, 0)
	z, _ := f.Append(nil, -1.5)
	if v, _, err := f.Decode(z); !bytes.Equal(x, y) || err != nil || v != -1.5 {
		t.Errorf("% x and % x; %v, %v", x, y, v, err)
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

// An alias may be the field's own name, or stand twice.
func TestAliasOfTheSameName(t *testing.T) {
	type T struct {
		A int `msgpack:"a,alias:a,alias:b,alias:b"`
	}
	c, err := encoding.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append(nil, T{7})
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := c.Decode(b); err != nil || v.A != 7 {
		t.Errorf("%+v, %v", v, err)
	}
}
