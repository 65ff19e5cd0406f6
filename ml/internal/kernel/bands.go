package kernel

// A band is some rows of an image's result, or of its pixels where the convolution is
// one row, which are convolved and finished while they are in the cache.

// How much is worked on at once, in bytes but for bandPixels.
const (
	// largeFilters don't stay in the second-level cache beside images: they are worth
	// reading once for several images and not once for each padded band.
	largeFilters = 512 << 10

	// wholeBytes is what an image takes at most that isn't cut into bands, bandBytes
	// about what a band takes, and bandPixels the least number of pixels for which all
	// filters are read.
	wholeBytes = 1 << 20
	bandBytes  = 512 << 10
	bandPixels = 196

	// largeImage is what an image takes at most that stays in the second-level cache: a
	// larger one is padded band by band, or, where nothing is padded, the first panel
	// prefetches it. paddedBytes is about what such a band takes.
	largeImage  = 512 << 10
	paddedBytes = 256 << 10

	// finishedBytes is about how much of the result is finished at once.
	finishedBytes = 64 << 10
)

// bandRows returns how many of n rows go into a band, of the given bytes and pixels
// each.
func bandRows(n, bytes, pixels int) int {
	size := max(bandBytes/bytes, (bandPixels+pixels-1)/pixels, 1)
	if n*bytes <= wholeBytes || size >= n {
		return n
	}
	bands := (n + size - 1) / size
	rows := (n + bands - 1) / bands
	if pixels == 1 {
		return roundUp(rows, bandPixels) // a multiple of all tiles' heights
	}
	return inPairs(rows + 1)
}

// inPairs returns the even number up to rows, since two short rows share a tile, or one.
func inPairs(rows int) int { return max(rows&^1, 1) }

// bands convolves a part of the image after the other and finishes each while it is in
// the cache.
func (p *PackedConv) bands(l Level, x, y []float32, first, last int) {
	band := p.direct
	in, pixels := p.StrideH*p.wp*p.px, p.cols
	parts, size := &band.rows, inPairs(finishedBytes/(pixels*p.OC*f32))
	if p.pointwise { // one long row
		in, pixels = p.px, 1
		parts = &band.cols
		size = roundUp(max(finishedBytes/(p.OC*f32), 1), l.shape().rows)
	}
	s := getScratch()
	defer putScratch(s)
	for at, n := 0, *parts; at < n; at += size {
		*parts = min(size, n-at)
		p.band(l, s, &band, *parts*pixels, x[at*in:], y[at*pixels*p.ldc:], first, last)
	}
}

// band makes a band of so many pixels and finishes it.
func (p *PackedConv) band(l Level, s *scratch, band *direct, pixels int, x, y []float32, first, last int) {
	part := p.part(s, y, pixels, first)
	band.image(l, x, part, p.bias, first, last)
	if !p.finished() {
		p.finish(l, part[:pixels*p.OC])
	}
	p.moved(y, part, pixels)
}

// part is where some pixels of the result are made: y, unless its pixels lie apart and
// something is left to do behind micro-kernels, which takes them side by side. first are
// the flags of the first block of the chain, which may be in y.
func (p *PackedConv) part(s *scratch, y []float32, pixels, first int) []float32 {
	if p.py == p.ldc {
		return y
	}
	part := grow(&s.b, pixels*p.OC)
	if first&tileLoadC != 0 {
		MovePixels(part, p.OC, y, p.ldc, p.OC, pixels)
	}
	return part
}

// moved moves what part returned to y.
func (p *PackedConv) moved(y, part []float32, pixels int) {
	if p.py != p.ldc {
		MovePixels(y, p.ldc, part, p.OC, p.OC, pixels)
	}
}

// pads tells whether an image needs a border.
func (p *PackedConv) pads() bool { return p.depth == nil && (p.PadH > 0 || p.PadW > 0) }

// padsBands tells whether images are padded band by band, which keeps the padded rows
// in the second-level cache where the whole image doesn't fit in and the filters do,
// since each band reads them. A column of pixels is one row and has no bands.
func (p *PackedConv) padsBands(l Level) bool {
	return p.pads() && p.rows > 1 && p.padded()*f32 > largeImage && p.Bytes() < largeFilters && !(p.pool != nil && p.fusesPool(l))
}

// paddedBands is bands for an image without its border.
func (p *PackedConv) paddedBands(l Level, x, y []float32, first, last int) {
	row, more := p.wp*p.C, (p.KH-1)*p.DilH+1 // rows that one row of the result takes
	rows := inPairs(min((paddedBytes/(row*f32)-more)/p.StrideH+1, p.oh))
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
				MovePixels(inside, p.C, x[from*p.W*p.ldx:], p.ldx, p.C, p.W)
			} else {
				clear(inside)
			}
		}
		p.band(l, s, &band, band.rows*p.ow, image, y[at*p.ow*p.ldc:], first, last)
	}
}
