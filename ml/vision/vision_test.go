package vision_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/serializers/npz"
	"github.com/hibana-engine/hibana/ml/vision"
)

// expected returns what other frameworks made, by name.
func expected(t *testing.T) map[string]npz.Array {
	t.Helper()
	entries, err := npz.ReadFile("testdata/expected.npz")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]npz.Array)
	for _, e := range entries {
		all[e.Name] = e.Array
	}
	return all
}

// file returns a file of testdata.
func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// picture is the image that the resized ones were made of.
func picture(t testing.TB) *vision.Image {
	t.Helper()
	img, err := vision.Decode(file(t, "picture.png"))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// alike fails unless an image is the expected one within so many levels.
func alike(t *testing.T, name string, got *vision.Image, want npz.Array, most int) {
	t.Helper()
	pixels, ok := want.Data.([]uint8)
	if !ok || len(want.Shape) != 3 || want.Shape[0] != got.Height || want.Shape[1] != got.Width {
		t.Errorf("%s: %dx%d pixels, want rows and columns %v", name, got.Width, got.Height, want.Shape)
		return
	}
	worst, sum := 0, 0
	for i, p := range got.Pix {
		d := max(int(p), int(pixels[i])) - min(int(p), int(pixels[i]))
		worst, sum = max(worst, d), sum+d
	}
	if mean := float64(sum) / float64(len(pixels)); worst > most || mean > 0.5 {
		t.Errorf("%s: differs by up to %d levels, want %d at most, and by %.2f in the mean", name, worst, most, mean)
	}
}

// Files are decoded as OpenCV and Pillow do it. JPEGs may differ by what their inverse
// cosine transforms round otherwise, which the conversion to RGB makes larger.
func TestDecode(t *testing.T) {
	want := expected(t)
	for name, levels := range map[string]int{
		"444.jpg": 3, "422.jpg": 3, "420.jpg": 3, "440.jpg": 3, "progressive.jpg": 3, "grey.jpg": 1, "cmyk.jpg": 3,
		"alpha.png": 0, "palette.png": 0, "grey.png": 0, "deep.png": 0,
	} {
		got, err := vision.Decode(file(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		alike(t, name, got, want[name], levels)
	}
}

// An image is turned as its EXIF orientation says, in JPEG and PNG, of both byte orders;
// one that is nonsense leaves it as it is.
func TestOrientation(t *testing.T) {
	want := expected(t)
	for _, name := range []string{"turned.jpg", "turned.png"} {
		stored := file(t, name)
		entry := bytes.Index(stored, []byte("\x01\x12\x00\x03\x00\x00\x00\x01\x00\x01")) // big-endian
		if entry < 0 {
			t.Fatalf("%s has no orientation", name)
		}
		for orientation := range 11 {
			data := bytes.Clone(stored)
			data[entry+9] = byte(orientation)
			as := orientation
			if as < 1 || as > 8 {
				as = 1
			}
			got, err := vision.Decode(chunked(name, data))
			if err != nil {
				t.Fatalf("%s as %d: %v", name, orientation, err)
			}
			alike(t, fmt.Sprint(name, " as ", orientation), got, want[fmt.Sprint("turned_", as)], 3)
			w, h, err := vision.Decoder{}.Size(chunked(name, data))
			if err != nil || w != got.Width || h != got.Height {
				t.Errorf("%s as %d: size %dx%d, %v; the image has %dx%d", name, orientation, w, h, err, got.Width, got.Height)
			}
			stays, err := vision.Decoder{AsStored: true}.Decode(chunked(name, data))
			if err != nil {
				t.Fatal(err)
			}
			alike(t, name+" as stored", stays, want["turned_1"], 3)
		}
	}
}

// chunked gives a PNG's eXIf chunk the checksum of what it holds.
func chunked(name string, data []byte) []byte {
	if at := bytes.Index(data, []byte("eXIf")); strings.HasSuffix(name, ".png") && at >= 4 {
		until := at + 4 + int(binary.BigEndian.Uint32(data[at-4:]))
		binary.BigEndian.PutUint32(data[until:], crc32.ChecksumIEEE(data[at:until]))
	}
	return data
}

// A directory of EXIF may lie anywhere, and may lie about where.
func TestBadEXIF(t *testing.T) {
	stored := file(t, "turned.jpg")
	at := bytes.Index(stored, []byte("MM\x00*"))
	for name, change := range map[string]func(tiff []byte){
		"little-endian mark": func(b []byte) { copy(b, "II") },
		"offset far away":    func(b []byte) { copy(b[4:], "\xff\xff\xff\xff") },
		"many entries":       func(b []byte) { copy(b[8:], "\xff\xff"); b[10] = 0 },
		"another type":       func(b []byte) { b[13]++ },
	} {
		data := bytes.Clone(stored)
		data[bytes.Index(data, []byte("\x01\x12\x00\x03"))+9] = 6
		change(data[at:])
		if w, h, err := (vision.Decoder{}).Size(data); err != nil || w != 11 || h != 7 {
			t.Errorf("%s: %dx%d, %v; want it as it lies, 11x7", name, w, h, err)
		}
	}
}

// bomb is a PNG that says that it has so many pixels.
func bomb(t *testing.T, width, height uint32) []byte {
	data := bytes.Clone(file(t, "grey.png"))
	binary.BigEndian.PutUint32(data[16:], width)
	binary.BigEndian.PutUint32(data[20:], height)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

// What isn't a whole image of a sensible size is refused with the reason.
func TestNoImage(t *testing.T) {
	jpeg := file(t, "420.jpg")
	scan := jpeg[bytes.Index(jpeg, []byte("\xff\xda")) : len(jpeg)-2]
	for name, c := range map[string]struct {
		data []byte
		is   error
		says string
	}{
		"nothing":      {nil, vision.ErrImage, "0 bytes"},
		"text":         {[]byte("hello, world"), vision.ErrImage, `12 bytes that begin with "hello, w"`},
		"GIF":          {[]byte("GIF89a\x01\x00\x01\x00"), vision.ErrImage, "GIF89a"},
		"cut JPEG":     {jpeg[:len(jpeg)/2], vision.ErrImage, "JPEG of"},
		"cut data":     {jpeg[:len(jpeg)-40], vision.ErrImage, "JPEG of 33x23 pixels"},
		"cut PNG":      {file(t, "picture.png")[:300], vision.ErrImage, "PNG of 33x23 pixels"},
		"JPEG's start": {[]byte("\xff\xd8\xff"), vision.ErrImage, "JPEG of 3 bytes"},
		"bomb":         {bomb(t, 100_000, 100_000), vision.ErrTooLarge, "100000x100000 pixels, the most is 33554432"},
		"hidden scans": {slices.Concat([]byte("\xff\xd8\xff\x00\xfe\xfe"), jpeg[2:], bytes.Repeat(scan, 201), make([]byte, 1<<16)), vision.ErrTooLarge, "more than 200 scans"},
		"many scans":   {append(bytes.Clone(jpeg), bytes.Repeat(scan, 201)...), vision.ErrTooLarge, "more than 200 scans"},
	} {
		img, err := vision.Decode(c.data)
		if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) || img != nil {
			t.Errorf("%s: %v, %v; want an error that says %q", name, img, err, c.says)
		}
	}
	if _, err := (vision.Decoder{MaxPixels: 33*23 - 1}).Decode(jpeg); !errors.Is(err, vision.ErrTooLarge) {
		t.Errorf("a pixel too many: %v", err)
	}
	if _, err := (vision.Decoder{MaxPixels: 33 * 23}).Decode(jpeg); err != nil {
		t.Errorf("as many pixels as are allowed: %v", err)
	}
}

// An image is one of Go's too.
func TestImageOfGo(t *testing.T) {
	img := picture(t)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	again, err := vision.Decode(b.Bytes())
	if err != nil || !bytes.Equal(again.Pix, img.Pix) || img.Bounds() != image.Rect(0, 0, 33, 23) {
		t.Errorf("written and read it isn't the same: %v", err)
	}
	if _, _, _, a := img.At(33, 0).RGBA(); a != 0 {
		t.Errorf("beside the image there is a pixel")
	}
}
