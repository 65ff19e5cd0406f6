package kernel

import "fmt"

// PackedConv is a convolution for inference with its bias, activation and, where
// wanted, the max pooling that follows, packed once. It is read-only and may be
// shared by any number of goroutines.
//
// Input and output are NHWC: the channels of a pixel are adjacent. A 1-channel
// NCHW image is NHWC as it is; for others see ToNHWC. A chain of convolutions
// needs no further change of layout, and a dense layer behind it takes its weights
// through PermuteDense.
//
// The convolution is direct: a row of output pixels is a tile of the product
// patches x filters whose A is read from the image in place, through a table of
// the k offsets of a patch. Strides, dilation and groups only change the table and
// the distance of the tile's rows.
type PackedConv struct {
	convPlan
	wp, hp int   // padded input
	off    []int // byte offset of each step of the chain
	w      []float32
	panel  int // floats in a panel, k*panelCols
	bias   []float32
	act    Activation
	pool   *PoolShape // over the convolution's result, nil for none
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
	p := &PackedConv{convPlan: planConv(s), act: act, bias: make([]float32, s.OC)}
	if len(w) != p.OC*p.k {
		return nil, fmt.Errorf("packing a convolution: filter has %d weights, want %d: %w", len(w), p.OC*p.k, ErrShape)
	}
	if bias != nil && len(bias) != p.OC {
		return nil, fmt.Errorf("packing a convolution: bias has %d elements, want %d: %w", len(bias), p.OC, ErrShape)
	}
	copy(p.bias, bias)
	if pool != nil {
		q := *pool
		q.N, q.C, q.H, q.W = 1, p.OC, p.oh, p.ow
		if err := q.Validate(); err != nil {
			return nil, fmt.Errorf("packing a convolution: %w", err)
		}
		p.pool = &q
	}
	p.hp, p.wp = p.H+2*p.PadH, p.W+2*p.PadW
	p.flatten()
	p.packFilter(w)
	return p, nil
}

// flatten turns a pointwise convolution into one on a single long row, so that
// tiles don't end at the image's edge.
func (p *PackedConv) flatten() {
	if p.noCol {
		p.ow, p.oh = p.out, 1
	}
}

// packFilter fills the offsets and, for each group, the panels; the chain runs
// over (ky, kx, channel) so that its reads are as long as they can be.
func (p *PackedConv) packFilter(w []float32) {
	p.off = make([]int, 0, p.k)
	order := make([]int, 0, p.k) // position of each step in a filter of w
	for ky := range p.KH {
		for kx := range p.KW {
			for c := range p.cg {
				p.off = append(p.off, ((ky*p.DilH*p.wp+kx*p.DilW)*p.C+c)*f32)
				order = append(order, (c*p.KH+ky)*p.KW+kx)
			}
		}
	}
	p.panel = p.k * panelCols
	perGroup := roundUp(p.ocg, panelCols) / panelCols
	p.w = make([]float32, p.Groups*perGroup*p.panel)
	for oc := range p.OC {
		g, o := oc/p.ocg, oc%p.ocg
		dst := p.w[(g*perGroup+o/panelCols)*p.panel:]
		for i, from := range order {
			dst[i*panelCols+o%panelCols] = w[oc*p.k+from]
		}
	}
}

// Out returns height, width and channels of the result of one image.
func (p *PackedConv) Out() (h, w, c int) {
	if p.pool != nil {
		return p.pool.OutH(), p.pool.OutW(), p.OC
	}
	return p.OutH(), p.OutW(), p.OC
}

// Bytes returns the memory that the packed filters take.
func (p *PackedConv) Bytes() int { return len(p.w) * f32 }

// Run computes y from n images x, both NHWC.
func (p *PackedConv) Run(n int, x, y []float32) { p.run(active, n, x, y, 0) }

// RunResidual computes y = act(conv(x) + bias + y): y holds the other branch of a
// residual block on entry. The convolution has no pooling.
func (p *PackedConv) RunResidual(n int, x, y []float32) { p.run(active, n, x, y, tileLoadC) }

func (p *PackedConv) run(l Level, n int, x, y []float32, flags int) {
	h, w, c := p.Out()
	in, out := p.H*p.W*p.C, h*w*c
	x, y = x[:n*in], y[:n*out]
	s := getScratch()
	defer putScratch(s)
	var padded, full []float32
	if p.PadH > 0 || p.PadW > 0 {
		padded = grow(&s.a, p.hp*p.wp*p.C)
		clear(padded)
	}
	fused := p.pool != nil && p.fusesPool(l)
	if p.pool != nil && !fused {
		full = grow(&s.b, p.out*p.OC)
	}
	for i := range n {
		src, dst := x[i*in:(i+1)*in], y[i*out:(i+1)*out]
		if padded != nil {
			p.pad(padded, src)
			src = padded
		}
		switch {
		case fused:
			p.imagePooled(l, src, dst)
		case p.pool != nil:
			p.image(l, src, full, 0)
			MaxPoolNHWC(*p.pool, full, dst)
		default:
			p.image(l, src, dst, flags)
		}
	}
}

// pad copies an image into the middle of the padded one, whose border is zero.
func (p *PackedConv) pad(dst, src []float32) {
	row := p.W * p.C
	for y := range p.H {
		copy(dst[((y+p.PadH)*p.wp+p.PadW)*p.C:], src[y*row:(y+1)*row])
	}
}

// image convolves one padded image into y (oh x ow x OC).
func (p *PackedConv) image(l Level, x, y []float32, flags int) {
	s := l.shape()
	step := evenBlock(p.k, convBlockK)
	perGroup := roundUp(p.ocg, panelCols) / panelCols
	for pc := 0; pc < p.k; pc += step {
		t := tile{k: min(step, p.k-pc), off: &p.off[pc], rsA: p.StrideW * p.C * f32, rsB: panelCols * f32, ldc: p.OC * f32}
		t.flags = flags
		if pc > 0 {
			t.flags |= tileLoadC
		}
		if pc+t.k == p.k {
			t.flags |= p.epilogue()
		}
		for g := range p.Groups {
			for j := 0; j < p.ocg; j += s.cols {
				t.cols = min(s.cols, p.ocg-j)
				t.b = &p.w[(g*perGroup+j/panelCols)*p.panel+pc*panelCols+j%panelCols]
				t.bias = &p.bias[g*p.ocg+j]
				p.rows(l, s, &t, x[g*p.cg:], y[g*p.ocg+j:])
			}
		}
	}
	if p.act > ReLUActivation {
		p.act.Apply(y, y)
	}
}

// convBlockK bounds a block over k: 512 rows of a panel are 64 KiB.
const convBlockK = 512

func (p *PackedConv) epilogue() int {
	if p.act == ReLUActivation {
		return tileBias | tileReLU
	}
	return tileBias
}

// rows runs one panel over all output rows, two short rows in a tile.
func (p *PackedConv) rows(l Level, s levelShape, t *tile, x, y []float32) {
	inRow, outRow := p.StrideH*p.wp*p.C, p.ow*p.OC
	r := 0
	if 2*p.ow <= s.rows {
		t.tiles = 1
		for ; r+1 < p.oh; r += 2 {
			t.a0, t.a1 = &x[r*inRow], &x[(r+1)*inRow]
			t.c0, t.c1 = &y[r*outRow], &y[(r+1)*outRow]
			runTile(l, 2*p.ow, t)
		}
	}
	larger, smaller, size := spread(p.ow, s.rows)
	for ; r < p.oh; r++ {
		if larger > 0 {
			t.stack(l, larger, size+1, &x[r*inRow], &y[r*outRow])
		}
		if smaller > 0 {
			done := larger * (size + 1)
			t.stack(l, smaller, size, &x[r*inRow+done*p.StrideW*p.C], &y[r*outRow+done*p.OC])
		}
	}
}

// fusesPool reports whether the level's pooling tile does this layer: a 2x2
// pooling whose windows don't overlap, and a chain that needs no blocking.
func (p *PackedConv) fusesPool(l Level) bool {
	q := p.pool
	return l.shape().pool && q.KH == 2 && q.KW == 2 && q.StrideH == 2 && q.StrideW == 2 && q.PadH == 0 && q.PadW == 0 &&
		(!q.CoverAll || p.oh%2 == 0 && p.ow%2 == 0) && p.act <= ReLUActivation && !p.noCol && p.k <= 2*convBlockK
}

// imagePooled convolves and pools one padded image into y.
func (p *PackedConv) imagePooled(l Level, x, y []float32) {
	perGroup := roundUp(p.ocg, panelCols) / panelCols
	t := tile{k: p.k, off: &p.off[0], rsA: p.StrideW * p.C * f32, rsB: panelCols * f32, ldc: p.OC * f32, flags: p.epilogue()}
	inRow := p.StrideH * p.wp * p.C
	ph, pw := p.pool.OutH(), p.pool.OutW()
	larger, smaller, size := spread(pw, maxPooled)
	for g := range p.Groups {
		for j := 0; j < p.ocg; j += panelCols {
			t.cols = min(panelCols, p.ocg-j)
			t.b = &p.w[(g*perGroup+j/panelCols)*p.panel]
			t.bias = &p.bias[g*p.ocg+j]
			for r := range ph {
				a, b, c := x[2*r*inRow+g*p.cg:], x[(2*r+1)*inRow+g*p.cg:], y[r*pw*p.OC+g*p.ocg+j:]
				if larger > 0 {
					t.runPooled(larger, size+1, &a[0], &b[0], &c[0])
				}
				if smaller > 0 {
					done := larger * (size + 1)
					o := 2 * done * p.StrideW * p.C
					t.runPooled(smaller, size, &a[o], &b[o], &c[done*p.OC])
				}
			}
		}
	}
}

// maxPooled is the number of pooled pixels in the largest pooling tile: 3 stand for
// 12 rows of the product.
const maxPooled = 3

// runPooled runs n adjacent tiles that give pixels pooled pixels each.
func (t *tile) runPooled(n, pixels int, a0, a1, c *float32) {
	t.tiles, t.stepA, t.stepC = n, 2*pixels*t.rsA, pixels*t.ldc
	t.a0, t.a1, t.c0, t.c1 = a0, a1, c, c
	runPoolTile(4*pixels, t)
}
