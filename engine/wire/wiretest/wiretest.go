// Package wiretest checks the messages of services: what they take and answer is
// all that is ever sent.
package wiretest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Check makes sure that every message of every service comes out as it went in,
// and that the services, given as types of their server interfaces, have at least
// so many.
func Check(t *testing.T, atLeast int, services ...reflect.Type) {
	t.Helper()
	all := messages(services)
	if len(all) < atLeast {
		t.Fatalf("only %d messages found", len(all))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range all {
		for range 20 {
			sent := reflect.New(typ)
			fill(rng, sent.Elem())
			buf, err := wire.Codec{}.Marshal(sent.Interface())
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			got := reflect.New(typ)
			if err := (wire.Codec{}).Unmarshal(buf, got.Interface()); err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			if !reflect.DeepEqual(sent.Interface(), got.Interface()) {
				t.Fatalf("%s:\nsent %+v\n got %+v", typ, sent, got)
			}
		}
		empty := reflect.New(typ).Interface()
		b, err := wire.Encode(empty)
		if err != nil || wire.Decode(b, reflect.New(typ).Interface()) != nil {
			t.Errorf("%s without contents: %v", typ, err)
		}
	}
}

// Fuzz makes sure that wire.Decode returns, whatever bytes come; what it takes for
// a message comes out of wire.Encode as the same message.
func Fuzz(f *testing.F, services ...reflect.Type) {
	all := messages(services)
	rng := rand.New(rand.NewPCG(3, 4))
	for i, typ := range all {
		v := reflect.New(typ)
		fill(rng, v.Elem())
		b, err := wire.Encode(v.Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		typ := all[int(which)%len(all)]
		got := reflect.New(typ).Interface()
		if err := wire.Decode(b, got); err != nil {
			if !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, wire.ErrFormat) {
				t.Fatalf("%s: %v", typ, err)
			}
			return
		}
		once, err := wire.Encode(got)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		again := reflect.New(typ).Interface()
		if err := wire.Decode(once, again); err != nil {
			t.Fatalf("%s, encoded again: %v", typ, err)
		}
		twice, err := wire.Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s: encoded twice it differs: %v\n%x\n%x", typ, err, once, twice)
		}
	})
}

// messages returns the types of all that services take and answer, sorted by name.
func messages(services []reflect.Type) []reflect.Type {
	seen := make(map[reflect.Type]bool)
	add := func(t reflect.Type) {
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			seen[t.Elem()] = true
		}
	}
	for _, s := range services {
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
