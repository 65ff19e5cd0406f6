package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

// services lists the server interfaces: what they take and answer is all that is
// ever sent.
func services() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[ControlServer](), reflect.TypeFor[LogsServer](), reflect.TypeFor[BinariesServer](),
		reflect.TypeFor[ExecutorsServer](), reflect.TypeFor[JobLogServer](), reflect.TypeFor[WorkerServer](),
		reflect.TypeFor[TasksServer](), reflect.TypeFor[ShuffleServer](), reflect.TypeFor[DriversServer](),
	}
}

// messages returns the types of all messages, sorted by name.
func messages() []reflect.Type {
	seen := make(map[reflect.Type]bool)
	add := func(t reflect.Type) {
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			seen[t.Elem()] = true
		}
	}
	for _, s := range services() {
		for i := range s.NumMethod() {
			f := s.Method(i).Type
			for j := range f.NumIn() {
				in := f.In(j)
				add(in)
				if in.Kind() != reflect.Interface {
					continue
				}
				if recv, ok := in.MethodByName("Recv"); ok { // a stream
					add(recv.Type.Out(0))
				}
				if send, ok := in.MethodByName("Send"); ok {
					add(send.Type.In(0))
				}
			}
			for j := range f.NumOut() {
				add(f.Out(j))
			}
		}
	}
	var all []reflect.Type
	for t := range seen {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// fill sets a value and all in it to something at random that isn't empty.
func fill(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rng, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rng.IntN(3), 3))
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(rng, k)
		fill(rng, e)
		v.SetMapIndex(k, e)
	case reflect.String:
		v.SetString(strings.Repeat("火花", 1+rng.IntN(200)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rng.Uint64() >> (rng.IntN(64))))
		if v.Int() == 0 || rng.IntN(2) == 0 {
			v.SetInt(-1 - v.Int())
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rng.Uint64()>>rng.IntN(64) | 1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(rng.NormFloat64())
	}
}

// Every message of every service comes out as it went in.
func TestEveryMessage(t *testing.T) {
	all := messages()
	if len(all) < 30 {
		t.Fatalf("only %d messages found", len(all))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range all {
		for range 20 {
			sent := reflect.New(typ)
			fill(rng, sent.Elem())
			buf, err := codec{}.Marshal(sent.Interface())
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			got := reflect.New(typ)
			if err := (codec{}).Unmarshal(buf, got.Interface()); err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			if !reflect.DeepEqual(sent.Interface(), got.Interface()) {
				t.Fatalf("%s:\nsent %+v\n got %+v", typ, sent, got)
			}
		}
		empty := reflect.New(typ).Interface()
		b, err := Encode(empty)
		if err != nil || Decode(b, reflect.New(typ).Interface()) != nil {
			t.Errorf("%s without contents: %v", typ, err)
		}
	}
}

// What Decode returns doesn't alias the buffer, which gRPC uses again.
func TestDecodeCopies(t *testing.T) {
	b, err := Encode(&ResultPart{Data: []byte("result")})
	if err != nil {
		t.Fatal(err)
	}
	var got ResultPart
	if err := Decode(b, &got); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(got.Data) != "result" {
		t.Errorf("the part changed with the buffer: %q", got.Data)
	}
}

// msgpack bytes that announce much or nest deeply cost nothing.
func TestMalformed(t *testing.T) {
	nested := bytes.Repeat([]byte{0x91}, 1000)
	for name, c := range map[string]struct {
		bytes []byte
		want  error
		says  string
	}{
		"empty":               {nil, ErrMalformed, "it is empty"},
		"format only":         {[]byte{Format}, ErrMalformed, "in the middle"},
		"other format":        {[]byte{Format + 1, 0x80}, ErrFormat, "of format 2"},
		"array of 4 G":        {[]byte{Format, 0x81, 0xa1, 'm', 0xdd, 0xff, 0xff, 0xff, 0xff}, ErrMalformed, "in the middle"},
		"map of 4 G":          {[]byte{Format, 0xdf, 0xff, 0xff, 0xff, 0xff}, ErrMalformed, "in the middle"},
		"string of 4 G":       {[]byte{Format, 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff}, ErrMalformed, "in the middle"},
		"bytes of 64 K":       {[]byte{Format, 0xc5, 0xff, 0xff}, ErrMalformed, "in the middle"},
		"length cut":          {[]byte{Format, 0xdc, 0xff}, ErrMalformed, "in the middle"},
		"float cut":           {[]byte{Format, 0xcb, 0, 0, 0}, ErrMalformed, "in the middle"},
		"nested":              {append([]byte{Format}, nested...), ErrMalformed, "deeper than 16"},
		"two values":          {[]byte{Format, 0x80, 0x80}, ErrMalformed, "1 bytes follow"},
		"extension":           {[]byte{Format, 0xc7, 0, 1}, ErrMalformed, "byte 0xc7"},
		"never used":          {[]byte{Format, 0xc1}, ErrMalformed, "byte 0xc1"},
		"unknown field":       {[]byte{Format, 0x81, 0xa1, 'z', 1}, ErrMalformed, "unknown field"},
		"string for a number": {[]byte{Format, 0x81, 0xa1, 's', 0xa1, 'x'}, ErrMalformed, "FetchBlocks"},
		"many values":         {append([]byte{Format, 0x81, 0xa1, 'm', 0xdd, 0, 0x30, 0, 0}, bytes.Repeat([]byte{0xc0}, 0x300000)...), ErrMalformed, "more than 2097152 values"},
	} {
		err := Decode(c.bytes, new(FetchBlocks))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "FetchBlocks") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever bytes come, Decode returns; what it takes for a message comes out of
// Encode as the same message.
func FuzzDecode(f *testing.F) {
	all := messages()
	rng := rand.New(rand.NewPCG(3, 4))
	for i, typ := range all {
		v := reflect.New(typ)
		fill(rng, v.Elem())
		b, err := Encode(v.Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		typ := all[int(which)%len(all)]
		got := reflect.New(typ).Interface()
		if err := Decode(b, got); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrFormat) {
				t.Fatalf("%s: %v", typ, err)
			}
			return
		}
		once, err := Encode(got)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		again := reflect.New(typ).Interface()
		if err := Decode(once, again); err != nil {
			t.Fatalf("%s, encoded again: %v", typ, err)
		}
		twice, err := Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s: encoded twice it differs: %v\n%x\n%x", typ, err, once, twice)
		}
	})
}

// check never panics, and a value is whole in one way only: no prefix of it is one.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{0x80})
	f.Add([]byte{0x92, 0xc0, 0xa1, 'x'})
	f.Add([]byte{0xdd, 0, 0, 0, 1, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if check(b) != nil {
			return
		}
		for cut := range b {
			if check(b[:cut]) == nil {
				t.Fatalf("% x is whole, and % x too", b, b[:cut])
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	m := &ToExecutor{Launch: &Launch{Inputs: []uint32{1}}}
	b.ReportAllocs()
	for b.Loop() {
		buf, err := codec{}.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		var got ToExecutor
		if err := (codec{}).Unmarshal(mem.BufferSlice(buf), &got); err != nil {
			b.Fatal(err)
		}
	}
}
