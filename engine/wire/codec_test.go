package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// What Decode returns doesn't alias the buffer, which gRPC uses again.
func TestDecodeCopies(t *testing.T) {
	b, err := Encode(&Chunk{Data: []byte("result")})
	if err != nil {
		t.Fatal(err)
	}
	var got Chunk
	if err := Decode(b, &got); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(got.Data) != "result" {
		t.Errorf("the chunk changed with the buffer: %q", got.Data)
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
		"array of 4 G":        {[]byte{Format, 0x81, 0xa1, 'p', 0xdd, 0xff, 0xff, 0xff, 0xff}, ErrMalformed, "in the middle"},
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
		"string for a number": {[]byte{Format, 0x81, 0xa1, 's', 0xa1, 'x'}, ErrMalformed, "Members"},
		"many values":         {append([]byte{Format, 0x81, 0xa1, 'p', 0xdd, 0, 0x30, 0, 0}, bytes.Repeat([]byte{0xc0}, 0x300000)...), ErrMalformed, "more than 2097152 values"},
	} {
		err := Decode(c.bytes, new(Members))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "Members") {
			t.Errorf("%s: %v", name, err)
		}
	}
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
