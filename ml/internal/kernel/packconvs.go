package kernel

// largeFilters is the size in bytes of filters that are worth reading once for several
// images: those that don't stay in the second-level cache beside the images.
const largeFilters = 512 << 10

// large tells whether several images are convolved together.
func (p *PackedConv) large() bool {
	return p.depth == nil && p.Bytes() >= largeFilters && p.pool == nil && p.finished()
}

// together convolves n images with each part of the filters in turn.
func (p *PackedConv) together(l Level, s *scratch, n int, x, y []float32, first int) {
	if p.PadH > 0 || p.PadW > 0 {
		in, size := p.in(), p.padded()
		padded := grow(&s.a, n*size)
		clear(padded)
		for i := range n {
			p.pad(padded[i*size:(i+1)*size], x[i*in:(i+1)*in])
		}
		x = padded
	}
	p.images(l, n, x, y, p.bias, first, p.act.tileFlags())
}
