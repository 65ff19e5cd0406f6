package kernel

import "fmt"

// PackedConv is a convolution for inference with its bias, activation and, where
// wanted, what follows, packed once. But for Then and Apart, which come before the first
// run, it is read-only and may be shared by any number of goroutines.
//
// Input and output are NHWC: the channels of a pixel are adjacent. A 1-channel
// NCHW image is NHWC as it is; for others see ToNHWC. A chain of convolutions
// needs no further change of layout, and a dense layer behind it takes its weights
// through PermuteDense.
type PackedConv struct {
	direct
	depth *depthwise // in place of direct's filters, nil for none
	bias  []float32
	after func(y []float32) // works on activated results in place, nil for none
	act   Activation
	pool  *PoolShape // over the convolution's result, nil for none

	ldx, ldc, ldy int // from a pixel to the next of the image, the convolution's result and the last one
}

// PackConv packs the filter w (OC x C/Groups x KH x KW) and the bias (OC, or nil)
// of a convolution; the shape's N is not used. pool, unless nil, gives window,
// stride, padding and CoverAll of a max pooling after the activation; its N, C, H
// and W are filled in.
func PackConv(s ConvShape, w, bias []float32, act Activation, pool *PoolShape) (*PackedConv, error) {
	s.N = 1
	if err := s.Validate(); err != nil {
		return nil, err
	}
	p := &PackedConv{act: act, bias: make([]float32, s.OC), ldx: s.C, ldc: s.OC, ldy: s.OC}
	plan := planConv(s)
	if len(w) != plan.OC*plan.k {
		return nil, fmt.Errorf("packing a convolution: filter has %d weights, want %d: %w", len(w), plan.OC*plan.k, ErrShape)
	}
	if bias != nil && len(bias) != plan.OC {
		return nil, fmt.Errorf("packing a convolution: bias has %d elements, want %d: %w", len(bias), plan.OC, ErrShape)
	}
	copy(p.bias, bias)
	if pool != nil {
		q := *pool
		q.N, q.C, q.H, q.W = 1, plan.OC, plan.oh, plan.ow
		if err := q.Validate(); err != nil {
			return nil, fmt.Errorf("packing a convolution: %w", err)
		}
		p.pool = &q
	}
	if plan.isDepthwise() {
		p.convPlan, p.depth = plan, new(depthwise)
		p.depth.prepare(plan)
		p.depth.packFilters(active, w)
		return p, nil
	}
	p.prepare(plan)
	p.w = make([]float32, p.filterSize())
	hugePages(p.w)
	p.packFilters(w)
	return p, nil
}

// Then makes f what is applied to the activated results, before they are pooled, in
// place and while they are in the cache. Each call is given whole pixels, all channels
// of each, and what f makes of a pixel must not depend on the others. f must be safe
// for concurrent use. Then comes before the first run.
func (p *PackedConv) Then(f func(y []float32)) {
	p.after = f
	p.py = p.OC // results are finished side by side
	if p.depth != nil {
		p.depth.py = p.OC
	}
}

// Apart says how many elements lie from a pixel to the next of the images, x, and of the
// results, y, for images that are some of the channels of larger ones. Apart comes before
// the first run.
func (p *PackedConv) Apart(x, y int) {
	p.ldx, p.ldy = x, y
	if p.pool == nil {
		p.ldc = y
	}
	if p.finished() { // else results are finished side by side, and then moved
		p.py = p.ldc
	}
	if !p.pads() { // else the padded image is read
		p.px = x
	}
	if p.depth != nil {
		p.depth.convPlan = p.convPlan
		return
	}
	p.prepare(p.convPlan)
}

// Out returns height, width and channels of the result of one image.
func (p *PackedConv) Out() (h, w, c int) {
	if p.pool != nil {
		return p.pool.OutH(), p.pool.OutW(), p.OC
	}
	return p.oh, p.ow, p.OC
}

// Bytes returns the memory that the packed filters take.
func (p *PackedConv) Bytes() int {
	if p.depth != nil {
		return len(p.depth.w) * f32
	}
	return len(p.w) * f32
}

// Run computes y from n images x, both NHWC.
func (p *PackedConv) Run(n int, x, y []float32) { p.run(active, n, x, y, 0) }

// RunResidual computes y = act(conv(x) + bias + y): y holds the other branch of a
// residual block on entry. The convolution has no pooling.
func (p *PackedConv) RunResidual(n int, x, y []float32) { p.run(active, n, x, y, tileLoadC) }

func (p *PackedConv) run(l Level, n int, x, y []float32, first int) {
	h, w, c := p.Out()
	in, out := p.H*p.W*p.ldx, h*w*p.ldy
	x, y = pixels(x, p.ldx, p.C, n*p.H*p.W), pixels(y, p.ldy, c, n*h*w)
	s := getScratch()
	defer putScratch(s)
	if group := min(n, p.group()); group > 1 {
		p.together(l, s, group, n, x, y, first)
		return
	}
	var padded, full []float32
	if p.pads() && !p.padsBands(l) {
		padded = grow(&s.a, p.padded())
		clear(padded)
	}
	fused := p.pool != nil && p.fusesPool(l)
	if p.pool != nil && !fused {
		full = grow(&s.b, p.out*p.OC)
	}
	for i := range n {
		src, dst := x[i*in:], y[i*out:]
		if padded != nil {
			p.pad(padded, src, p.ldx)
			src = padded
		}
		switch {
		case fused:
			p.imagePooled(src, dst)
		case p.pool != nil:
			p.activated(l, src, full, 0)
			poolNHWC(l, *p.pool, maxPixels, full, p.ldc, dst, p.ldy)
		default:
			p.activated(l, src, dst, first)
		}
	}
}

// activated convolves one image without pooling it.
func (p *PackedConv) activated(l Level, x, y []float32, first int) {
	last := p.act.tileFlags()
	switch {
	case p.depth != nil:
		var done func(y []float32)
		if !p.finished() {
			done = func(y []float32) { p.finish(l, y) }
		}
		s := getScratch()
		defer putScratch(s)
		part := p.part(s, y, p.out, first)
		p.depth.image(l, x, part, p.bias, first|last|tileBias, done)
		p.moved(y, part, p.out)
	case p.padsBands(l):
		p.paddedBands(l, x, y, first, last)
	case p.finished():
		p.image(l, x, y, p.bias, first, last)
	default:
		p.bands(l, x, y, first, last)
	}
}

// finished tells whether nothing is left to do behind micro-kernels.
func (p *PackedConv) finished() bool { return p.after == nil && p.act.inTiles() }

// finish does what micro-kernels don't.
func (p *PackedConv) finish(l Level, y []float32) {
	if !p.act.inTiles() {
		p.act.apply(l, y, y)
	}
	if p.after != nil {
		p.after(y)
	}
}

// fusesPool reports whether the level's pooling tile does this layer: a 2x2
// pooling whose windows don't overlap, and a chain that needs no blocking.
func (p *PackedConv) fusesPool(l Level) bool {
	q := p.pool
	return p.depth == nil && l.shape().pool && q.KH == 2 && q.KW == 2 && q.StrideH == 2 && q.StrideW == 2 && q.PadH == 0 && q.PadW == 0 &&
		2*q.OutH() <= p.oh && 2*q.OutW() <= p.ow && p.finished() && !p.pointwise && p.k <= 2*convBlockK
}

// imagePooled convolves and pools one padded image into y.
func (p *PackedConv) imagePooled(x, y []float32) {
	t := tile{k: p.k, off: &p.off[0], rsA: p.StrideW * p.px * f32, rsB: panelCols * f32, ldc: p.ldy * f32, flags: tileBias | p.act.tileFlags()}
	inRow := p.StrideH * p.wp * p.px
	ph, pw := p.pool.OutH(), p.pool.OutW()
	for from, size := 0, bandRows(ph, 2*inRow*f32, 4*pw); from < ph; from += size {
		for g := range p.Groups {
			for j := 0; j < p.ocg; j += panelCols {
				t.cols = min(panelCols, p.ocg-j)
				t.b = &p.w[(g*p.perGroup+j/panelCols)*p.k*panelCols]
				t.bias = &p.bias[g*p.ocg+j]
				for r := from; r < min(from+size, ph); r++ {
					top, bottom := x[2*r*inRow+g*p.cg:], x[(2*r+1)*inRow+g*p.cg:]
					t.pooledRow(pw, &top[0], &bottom[0], &y[r*pw*p.ldy+g*p.ocg+j])
				}
			}
		}
	}
}

// maxPooled is the number of pooled pixels in the largest pooling tile: 3 stand for
// 12 rows of the product.
const maxPooled = 3

// pooledRow makes a row of pooled pixels from two rows of the product.
func (t *tile) pooledRow(pixels int, top, bottom, c *float32) {
	larger, smaller, size := spread(pixels, maxPooled)
	if larger > 0 {
		t.runPooled(larger, size+1, top, bottom, c)
	}
	if smaller > 0 {
		done := larger * (size + 1)
		move := 2 * done * t.rsA
		t.runPooled(smaller, size, at(top, move), at(bottom, move), at(c, done*t.ldc))
	}
}

// runPooled runs n adjacent tiles that give pixels pooled pixels each.
func (t *tile) runPooled(n, pixels int, top, bottom, c *float32) {
	t.tiles, t.stepA, t.stepC = n, 2*pixels*t.rsA, pixels*t.ldc
	t.a0, t.a1, t.c0, t.c1 = top, bottom, c, c
	runPoolTile(4*pixels, t)
}
