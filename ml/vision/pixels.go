package vision

import (
	"image"
	"image/color"
)

// toRGB takes the pixels of what a decoder made.
func toRGB(src image.Image) *Image {
	b := src.Bounds()
	out := NewImage(b.Dx(), b.Dy())
	row := func(y int) []byte { return out.Pix[3*y*out.Width : 3*(y+1)*out.Width] }
	for y := range out.Height {
		at := image.Pt(b.Min.X, b.Min.Y+y)
		switch src := src.(type) {
		case *image.YCbCr:
			ycbcr(out, src)
			return out
		case *image.Gray:
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 1, 0, 0, 0)
		case *image.Gray16: // big-endian
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 2, 0, 0, 0)
		case *image.RGBA: // without transparency, which image/png decodes to NRGBA
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 4, 0, 1, 2)
		case *image.NRGBA:
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 4, 0, 1, 2)
		case *image.RGBA64:
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 8, 0, 2, 4)
		case *image.NRGBA64:
			every(row(y), src.Pix[src.PixOffset(at.X, at.Y):], 8, 0, 2, 4)
		default: // CMYK, or a palette
			for x := range out.Width {
				c := color.NRGBAModel.Convert(src.At(at.X+x, at.Y)).(color.NRGBA)
				copy(row(y)[3*x:], []byte{c.R, c.G, c.B})
			}
		}
	}
	return out
}

// every takes three bytes of every pixel, which is of a number of bytes.
func every(to, from []byte, pixel, r, g, b int) {
	for i := 0; i < len(to); i += 3 {
		to[i], to[i+1], to[i+2] = from[r], from[g], from[b]
		if len(from) > pixel {
			from = from[pixel:]
		}
	}
}

// ycbcr converts a JPEG's luma and chroma as libjpeg does (jdcolor.c), the constants of
// ITU-R BT.601 in 16 bits.
func ycbcr(out *Image, src *image.YCbCr) {
	up := newUpsampler(src)
	for y := range out.Height {
		cb, cr := up.row(src.Cb, 0, y)[:out.Width], up.row(src.Cr, 1, y)[:out.Width]
		luma := src.Y[src.YOffset(src.Rect.Min.X, src.Rect.Min.Y+y):][:out.Width]
		to := out.Pix[3*y*out.Width:][:3*out.Width]
		for x, l := range luma {
			l, b, r := int32(l)<<16+1<<15, int32(cb[x])-128, int32(cr[x])-128
			to[0] = level((l + 91881*r) >> 16)
			to[1] = level((l - 22554*b - 46802*r) >> 16)
			to[2] = level((l + 116130*b) >> 16)
			to = to[3:]
		}
	}
}

// level limits a value to those of a byte.
func level(v int32) byte {
	if uint32(v) <= 255 {
		return byte(v)
	}
	return byte(^(v >> 31)) // 0 below 0, else 255
}

// upsampler gives each pixel of a JPEG its chroma, as libjpeg does by default ("fancy
// upsampling", jdsample.c): between two samples the nearer one counts three quarters.
type upsampler struct {
	src         *image.YCbCr
	wide, tall  bool // chroma is interpolated across, down
	every       int  // pixels of a sample across, where it is repeated
	cols, rows  int  // of chroma
	sums        []int32
	interpolate [2][]byte // a row of each plane
}

func newUpsampler(src *image.YCbCr) *upsampler {
	u := &upsampler{src: src, every: 1}
	down := 1
	switch src.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.every = 2
	case image.YCbCrSubsampleRatio420:
		u.every, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		u.every = 4
	case image.YCbCrSubsampleRatio410:
		u.every, down = 4, 2
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	u.cols, u.rows = (w+u.every-1)/u.every, (h+down-1)/down
	u.wide = u.every == 2 && u.cols > 2
	u.tall = down == 2 && (u.wide || u.every == 1)
	u.sums = make([]int32, u.cols)
	for i := range u.interpolate {
		u.interpolate[i] = make([]byte, u.every*u.cols)
	}
	return u
}

// row returns the samples of a plane for the pixels of a row, valid until the next call
// for the plane.
func (u *upsampler) row(plane []byte, which, y int) []byte {
	at := u.src.COffset(u.src.Rect.Min.X, u.src.Rect.Min.Y+y)
	near := plane[at : at+u.cols]
	if !u.wide && !u.tall {
		return repeated(u.interpolate[which], near, u.every)
	}
	even, odd, shift := int32(1), int32(2), 2
	sums := u.sums[:len(near)]
	for i, v := range near {
		sums[i] = int32(v)
	}
	if u.tall {
		// the row of samples above for an upper row of pixels, else the one below
		row := y / 2
		at += (min(max(row+2*(y%2)-1, 0), u.rows-1) - row) * u.src.CStride
		far := plane[at : at+u.cols]
		for i, v := range far {
			sums[i] = 3*sums[i] + int32(v)
		}
	}
	to := u.interpolate[which]
	if !u.wide {
		round := int32(1 + y%2)
		for i, v := range u.sums {
			to[i] = byte((v + round) >> 2)
		}
		return to
	}
	if u.tall {
		even, odd, shift = 8, 7, 4
	}
	before, out := u.sums[0], to
	for i, v := range u.sums {
		after := v
		if i+1 < len(u.sums) {
			after = u.sums[i+1]
		}
		out[0] = byte((3*v + before + even) >> shift)
		out[1] = byte((3*v + after + odd) >> shift)
		before, out = v, out[2:]
	}
	return to
}

// repeated repeats each sample.
func repeated(to, from []byte, times int) []byte {
	for i, v := range from {
		for k := range times {
			to[i*times+k] = v
		}
	}
	return to
}
