package kernel

// A band is some rows of an image's result, or of its pixels where the convolution is
// pointwise, which are convolved and finished while they are in the cache.

// bands convolves a part of the image after the other and finishes each while it is in
// the cache.
func (p *PackedConv) bands(l Level, x, y []float32, first, last int) {
	band := p.direct
	in, out := p.StrideH*p.wp*p.C, p.cols*p.OC
	parts, size := &band.rows, max(bandSize/out, 1)
	if p.pointwise { // one long row
		in, out = p.C, p.OC
		parts = &band.cols
		size = roundUp(max(bandSize/out, 1), l.shape().rows)
	} else if size > 1 {
		size &^= 1 // short rows go in pairs
	}
	for at, n := 0, *parts; at < n; at += size {
		*parts = min(size, n-at)
		part := y[at*out:][:*parts*out]
		band.image(l, x[at*in:], part, p.bias, first, last)
		p.finish(l, part)
	}
}

// pads tells whether an image needs a border.
func (p *PackedConv) pads() bool { return p.depth == nil && (p.PadH > 0 || p.PadW > 0) }

// Images are padded band by band where that keeps the padded rows in the second-level
// cache, which the whole image doesn't fit in, and the filters stay there too, since
// each band reads them. All are numbers of elements.
const (
	largeImage   = 1 << 17
	paddedBand   = 1 << 16
	smallFilters = 1 << 17
)

// padsBands tells whether images are padded band by band: not a column of pixels, which
// is one row and has no bands.
func (p *PackedConv) padsBands(l Level) bool {
	return p.pads() && p.rows > 1 && p.padded() > largeImage && len(p.w) <= smallFilters && !(p.pool != nil && p.fusesPool(l))
}

// paddedBands is bands for an image without its border.
func (p *PackedConv) paddedBands(l Level, x, y []float32, first, last int) {
	row, more := p.wp*p.C, (p.KH-1)*p.DilH+1 // rows that one row of the result takes
	rows := min(max((paddedBand/row-more)/p.StrideH+1, 1), p.oh)
	if rows > 1 {
		rows &^= 1 // short rows go in pairs
	}
	s := getScratch()
	defer putScratch(s)
	image := grow(&s.a, ((rows-1)*p.StrideH+more)*row)
	clear(image)
	band := p.direct
	for at := 0; at < p.oh; at += rows {
		band.rows = min(rows, p.oh-at)
		for i := range (band.rows-1)*p.StrideH + more {
			inside := image[i*row+p.PadW*p.C:][:p.W*p.C]
			if from := at*p.StrideH - p.PadH + i; from >= 0 && from < p.H {
				copy(inside, x[from*p.W*p.C:])
			} else {
				clear(inside)
			}
		}
		part := y[at*p.ow*p.OC:][:band.rows*p.ow*p.OC]
		band.image(l, image, part, p.bias, first, last)
		if !p.finished() {
			p.finish(l, part)
		}
	}
}
