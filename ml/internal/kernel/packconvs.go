package kernel

// togetherBytes bounds the padded images and the results that are convolved together,
// which are gone through once for each block of the filters.
const togetherBytes = 4 << 20

// group is the number of images that are convolved together, 1 for none: those of
// filters that are worth it, as many as togetherBytes hold, but for what lies between
// pixels.
func (p *PackedConv) group() int {
	if p.depth != nil || p.Bytes() < largeFilters || p.pool != nil || !p.finished() {
		return 1
	}
	return max(togetherBytes/(f32*(p.hp*p.wp*p.C+p.out*p.OC)), 1)
}

// together convolves n images, of each group with each part of the filters in turn.
func (p *PackedConv) together(l Level, s *scratch, group, n int, x, y []float32, first int) {
	in, size, out := p.H*p.W*p.ldx, p.padded(), p.out*p.py
	var padded []float32
	if p.pads() {
		padded = grow(&s.a, group*size)
		clear(padded)
	}
	for from := 0; from < n; from += group {
		images, src := min(group, n-from), x[from*in:]
		if padded != nil {
			for i := range images {
				p.pad(padded[i*size:(i+1)*size], src[i*in:], p.ldx)
			}
			src = padded
		}
		p.images(l, images, src, y[from*out:], p.bias, first, p.act.tileFlags())
	}
}
