package datasets

import (
	"fmt"
	"image"
	_ "image/gif"  // decoders for image.Decode
	_ "image/jpeg" // decoders for image.Decode
	_ "image/png"  // decoders for image.Decode
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/image/draw"
)

// maxPixels bounds an image file before it is decoded.
const maxPixels = 1 << 26

// Images says how image files become examples.
type Images struct {
	// Height and Width are the size that images are scaled to. Both 0 keep the
	// images' own, which must then be equal within a batch.
	Height, Width int
	// Grey makes one channel of luminance instead of three of colour.
	Grey bool
}

// Folder is a labelled data set of image files: one subdirectory a class.
type Folder struct {
	Dataset[Example]
	// Classes holds the subdirectories' names, sorted; a label is an index.
	Classes []string
}

// Read lists a folder of labelled images, such as
//
//	cats/1.png  cats/2.jpg  dogs/1.png
//
// PNG, JPEG and GIF files are examples of the class named by their directory;
// other files are left out. Images are decoded when they are asked for. Shapes
// are (channel, height, width), values go from 0 to 1.
func (o Images) Read(folder fs.FS) (Folder, error) {
	if o.Height < 0 || o.Width < 0 || (o.Height == 0) != (o.Width == 0) {
		return Folder{}, fmt.Errorf("reading an image folder: the size %dx%d is none: give Height and Width, or neither", o.Height, o.Width)
	}
	dirs, err := fs.ReadDir(folder, ".")
	if err != nil {
		return Folder{}, fmt.Errorf("listing the image folder%s: %w", pathOf(folder), err)
	}
	type file struct {
		name  string
		label int32
	}
	var files []file
	var classes []string
	for _, dir := range dirs {
		if !dir.IsDir() {
			continue
		}
		images, err := fs.ReadDir(folder, dir.Name())
		if err != nil {
			return Folder{}, fmt.Errorf("listing images of class %s: %w", dir.Name(), err)
		}
		for _, img := range images {
			if !img.IsDir() && slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif"}, strings.ToLower(path.Ext(img.Name()))) {
				files = append(files, file{path.Join(dir.Name(), img.Name()), int32(len(classes))})
			}
		}
		classes = append(classes, dir.Name())
	}
	if len(files) == 0 {
		return Folder{}, fmt.Errorf("the image folder%s has no subdirectory with PNG, JPEG or GIF files", pathOf(folder))
	}
	return Folder{Classes: classes, Dataset: Func(len(files), func(i int) (Example, error) {
		e, err := o.decode(folder, files[i].name)
		e.Label, e.Name = files[i].label, files[i].name
		if err != nil {
			err = fmt.Errorf("reading image %s: %w", files[i].name, err)
		}
		return e, err
	})}, nil
}

func (o Images) decode(folder fs.FS, name string) (Example, error) {
	raw, err := fs.ReadFile(folder, name)
	if err != nil {
		return Example{}, err
	}
	config, _, err := image.DecodeConfig(strings.NewReader(string(raw)))
	if err != nil {
		return Example{}, err
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height {
		return Example{}, fmt.Errorf("%dx%d pixels are more than %d", config.Width, config.Height, maxPixels)
	}
	img, _, err := image.Decode(strings.NewReader(string(raw)))
	if err != nil {
		return Example{}, err
	}
	return o.FromImage(img), nil
}

// pathOf gives the path of a folder made by os.DirFS for a message, with a space
// before it; other file systems have none.
func pathOf(folder fs.FS) string {
	if v := reflect.ValueOf(folder); v.Kind() == reflect.String {
		return " " + v.String()
	}
	return ""
}

// FromImage makes an example, without a label, of an image. It scales it where
// Height and Width are both positive.
func (o Images) FromImage(img image.Image) Example {
	height, width := img.Bounds().Dy(), img.Bounds().Dx()
	if o.Height > 0 && o.Width > 0 {
		height, width = o.Height, o.Width
	}
	flat := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.BiLinear.Scale(flat, flat.Bounds(), img, img.Bounds(), draw.Src, nil)
	if o.Grey {
		out := Example{X: make([]float32, height*width), Shape: []int{1, height, width}}
		for i := range out.X {
			r, g, b := float32(flat.Pix[4*i]), float32(flat.Pix[4*i+1]), float32(flat.Pix[4*i+2])
			out.X[i] = (0.299*r + 0.587*g + 0.114*b) / 255 // luma of ITU-R BT.601
		}
		return out
	}
	plane := height * width
	out := Example{X: make([]float32, 3*plane), Shape: []int{3, height, width}}
	for i := range plane {
		for c := range 3 {
			out.X[c*plane+i] = float32(flat.Pix[4*i+c]) / 255
		}
	}
	return out
}
