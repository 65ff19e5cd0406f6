package rdd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Whatever a file of objects holds, reading ends, in an error unless it is whole.
func FuzzObjects(f *testing.F) {
	codec, err := encoding.For[string]()
	if err != nil {
		f.Fatal(err)
	}
	written := func(rows ...string) []byte {
		var out bytes.Buffer
		w, err := newObjectWriter(codec, &out)
		for _, v := range rows {
			err = errors.Join(err, w.add(v))
		}
		if err = errors.Join(err, w.finish()); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	plain := func(packed []byte) []byte {
		b, err := readAll(s2.NewReader(bytes.NewReader(packed)), 0)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for _, b := range [][]byte{written(), written("a", "bc")} {
		f.Add(b, false)
		f.Add(b[:len(b)-1], false)
		f.Add(plain(b), true)
		f.Add(plain(b)[:len(plain(b))-1], true)
	}
	f.Add([]byte("hibana objects 1 string\n\xff\xff\xff\xff\x03"), true)
	f.Fuzz(func(t *testing.T, data []byte, pack bool) {
		if pack { // so that what is within is reached
			var b bytes.Buffer
			w := s2.NewWriter(&b)
			_, err := w.Write(data)
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		}
		var rows []string
		var failed error
		decodeObjects(codec, bytes.NewReader(data), func(v string, err error) bool {
			if failed = err; err == nil {
				rows = append(rows, v)
			}
			return err == nil
		})
		if failed != nil {
			if !errors.Is(failed, files.ErrDamaged) && !errors.Is(failed, ErrEncoding) {
				t.Error(failed)
			}
			return
		}
		var again []string
		decodeObjects(codec, bytes.NewReader(written(rows...)), func(v string, err error) bool {
			again = append(again, v)
			return err == nil
		})
		if !slices.Equal(rows, again) {
			t.Errorf("%q became %q", rows, again)
		}
	})
}

// decodeObjects yields the elements of a file.
func decodeObjects[T any](codec encoding.Codec[T], from io.Reader, yield func(T, error) bool) {
	tc := &task.Context{Context: context.Background()}
	ends(yield, readFrames(from, typeName[T](), func(frame []byte) (uint64, bool, error) { return decodeAll(tc, codec, frame, yield) }))
}
