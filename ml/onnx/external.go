package onnx

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// external says where an array lies that isn't in the file.
type external struct{ location, offset, length string }

// parseExternal takes an entry of external_data.
func (t *tensorProto) parseExternal(b []byte) error {
	t.external = true
	var key, value string
	err := each("StringStringEntryProto", b, func(x field) error {
		switch x.num {
		case 1:
			return x.text(&key)
		case 2:
			return x.text(&value)
		}
		return x.is(protowire.BytesType)
	})
	switch key {
	case "location":
		t.place.location = value
	case "offset":
		t.place.offset = value
	case "length":
		t.place.length = value
	}
	return err
}

// inside returns an array with the bytes that lie in another file, within the limit
// of elements.
func (im *importer) inside(t *tensorProto) (*tensorProto, error) {
	if !t.external || im.files == nil {
		return t, nil // shape refuses it
	}
	in := *t
	in.external = false
	_, n, err := in.shape()
	if err != nil {
		return nil, err
	}
	width := widths[t.dtype]
	if width == 0 {
		return nil, fmt.Errorf("%w: array %q has elements of %s", ErrUnsupported, t.name, typeName(t.dtype))
	}
	if n > im.left {
		return nil, im.beyond("array %q of %d elements of %s", t.name, n, typeName(t.dtype))
	}
	offset, length := int64(0), int64(n*width)
	if t.place.offset != "" {
		if offset, err = strconv.ParseInt(t.place.offset, 10, 64); err != nil || offset < 0 {
			return nil, fmt.Errorf("%w: array %q begins at %q of another file", ErrFormat, t.name, t.place.offset)
		}
	}
	if t.place.length != "" && t.place.length != strconv.FormatInt(length, 10) {
		return nil, fmt.Errorf("%w: array %q has %q bytes in another file, want %d", ErrFormat, t.name, t.place.length, length)
	}
	in.raw = make([]byte, length)
	if err := readAt(im.files, t.place.location, offset, in.raw); err != nil {
		return nil, fmt.Errorf("array %q, which lies in another file: %w", t.name, err)
	}
	return &in, nil
}

// readAt reads a part of a file.
func readAt(files fs.FS, name string, offset int64, to []byte) error {
	if !fs.ValidPath(name) { // it may lead out of there
		return fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	f, err := files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if at, ok := f.(io.ReaderAt); ok {
		_, err = io.ReadFull(io.NewSectionReader(at, offset, int64(len(to))), to)
	} else if _, err = io.CopyN(io.Discard, f, offset); err == nil {
		_, err = io.ReadFull(f, to)
	}
	if err != nil {
		return fmt.Errorf("%d bytes at %d of %q: %w", len(to), offset, name, err)
	}
	return nil
}
