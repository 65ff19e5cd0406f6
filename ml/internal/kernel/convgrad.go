package kernel

// Conv2DGradFilter computes gw, the gradient by the filter, from x and gy. The
// shape is valid.
func Conv2DGradFilter(s ConvShape, x, gy, gw []float32) { conv2DGradFilter(active, s, x, gy, gw) }

// The gradient is the product patches' x gy, whose chain runs over output pixels:
// rows of A are the places of a patch, adjacent in the padded NHWC image for one ky
// (a run), and the table of offsets holds the pixels.
func conv2DGradFilter(l Level, s ConvShape, x, gy, gw []float32) {
	p := planConv(s)
	p.check(x, gw, gy)
	if p.N == 0 {
		clear(gw[:p.OC*p.k])
		return
	}
	sc := getScratch()
	defer putScratch(sc)
	d := &sc.conv
	d.prepare(p)
	f := filterGrad{direct: d, off: d.pixelOffsets(grow(&sc.off, p.out)), gw: grow(&sc.b, p.OC*p.k), gy: grow(&sc.c, p.out*d.perGroup*panelCols)}
	image := grow(&sc.a, d.padded())
	clear(image)
	for i := range p.N {
		d.padNCHW(l, image, x[i*p.in():])
		for g := range p.Groups {
			packPanels(l, f.gy, gy[(i*p.Groups+g)*p.ocg*p.out:], p.out, true, 0, p.out, 0, p.ocg)
			f.group(l, image[g*p.cg:], f.gw[g*p.k*p.ocg:], i == 0)
		}
	}
	f.unpack(gw)
}

// filterGrad is one gradient under way. gw is k x ocg for each group, rows in the
// order (ky, kx, channel).
type filterGrad struct {
	*direct
	off    []int
	gw, gy []float32
}

// pixelOffsets fills off with the bytes from the first output pixel's patch to each
// other's.
func (d *direct) pixelOffsets(off []int) []int {
	for i := range off {
		off[i] = (i/d.ow*d.StrideH*d.wp + i%d.ow*d.StrideW) * d.C * f32
	}
	return off
}

// runs returns how many stretches of adjacent elements a patch has and how long they
// are, and the distance in the image from run i to the first.
func (d *direct) runs() (n, length int) {
	if d.Groups == 1 && d.DilW == 1 {
		return d.KH, d.KW * d.cg
	}
	return d.KH * d.KW, d.cg
}

func (d *direct) runOffset(i, n int) int {
	if n == d.KH && d.Groups == 1 && d.DilW == 1 {
		return i * d.DilH * d.wp * d.C
	}
	return (i/d.KW*d.DilH*d.wp + i%d.KW*d.DilW) * d.C
}

// group adds one image's part of one group's gradient.
func (f *filterGrad) group(l Level, x, gw []float32, first bool) {
	s := l.shape()
	step := evenBlock(f.out, convBlockK)
	for pc := 0; pc < f.out; pc += step {
		t := tile{k: min(step, f.out-pc), off: &f.off[pc], rsA: f32, rsB: panelCols * f32, ldc: f.ocg * f32}
		if !first || pc > 0 {
			t.flags = tileLoadC
		}
		for j := 0; j < f.ocg; j += s.cols {
			t.cols = min(s.cols, f.ocg-j)
			t.b = &f.gy[j/panelCols*f.out*panelCols+pc*panelCols+j%panelCols]
			f.panel(l, s, &t, x, gw[j:])
		}
	}
}

// panel runs one panel of gy over all runs, two short runs in a tile.
func (f *filterGrad) panel(l Level, s levelShape, t *tile, x, gw []float32) {
	n, length := f.runs()
	i := 0
	if 2*length <= s.rows {
		t.tiles = 1
		for ; i+1 < n; i += 2 {
			t.a0, t.a1 = &x[f.runOffset(i, n)], &x[f.runOffset(i+1, n)]
			t.c0, t.c1 = &gw[i*length*f.ocg], &gw[(i+1)*length*f.ocg]
			runTile(l, 2*length, t)
		}
	}
	for ; i < n; i++ {
		t.column(l, s, length, operand{&x[f.runOffset(i, n)], f32, t.off}, &gw[i*length*f.ocg])
	}
}

// unpack writes the gradient in the filter's own order.
func (f *filterGrad) unpack(gw []float32) {
	taps := f.KH * f.KW
	for oc := range f.OC {
		g, o := oc/f.ocg, oc%f.ocg
		src := f.gw[g*f.k*f.ocg+o:]
		for c := range f.cg {
			dst := gw[oc*f.k+c*taps:][:taps]
			for t := range dst {
				dst[t] = src[(t*f.cg+c)*f.ocg]
			}
		}
	}
}

// Conv2DGradInput computes gx, the gradient by the input, from gy. It is also the
// forward pass of a transposed convolution (deconvolution), with the roles of the
// two sides of the shape exchanged. The shape is valid.
func Conv2DGradInput(s ConvShape, gy, w, gx []float32) { conv2DGradInput(active, s, gy, w, gx) }

// The product gy x filters gives the gradient of every patch, which is added into
// the padded NHWC image run by run. gy is read in place, as the transpose of what it
// is in memory; patches are made for as many output rows as patchBlock holds.
func conv2DGradInput(l Level, s ConvShape, gy, w, gx []float32) {
	p := planConv(s)
	p.check(gx, w, gy)
	sc := getScratch()
	defer putScratch(sc)
	d := &sc.conv
	d.prepare(p)
	width := roundUp(p.k, panelCols)
	rows := min(max(patchBlock/(p.ow*p.k), 1), p.oh)
	g := inputGrad{
		direct: d, off: offsets(grow(&sc.off, p.ocg), p.out*f32), width: width,
		w: grow(&sc.b, p.OC*width), patches: grow(&sc.c, rows*p.ow*p.k), rowsAtOnce: rows,
	}
	g.packFilters(l, w, grow(&sc.d, p.OC*p.k))
	image := grow(&sc.a, d.padded())
	for i := range p.N {
		clear(image)
		for j := range p.Groups {
			g.group(l, j, gy[(i*p.Groups+j)*p.ocg*p.out:], image)
		}
		d.cropNCHW(l, gx[i*p.in():], image)
	}
}

// patchBlock bounds the patches made at once: 256 KiB, a part of the second-level
// cache.
const patchBlock = 1 << 16

// inputGrad is one gradient under way.
type inputGrad struct {
	*direct
	off        []int
	width      int // k rounded up to panels
	w          []float32
	patches    []float32
	rowsAtOnce int
}

// packFilters packs each group's filters as an ocg x k matrix, columns in the order
// (ky, kx, channel), through buf.
func (g *inputGrad) packFilters(l Level, w, buf []float32) {
	taps := g.KH * g.KW
	for oc := range g.OC {
		transposeInto(l, buf[oc*g.k:], g.cg, w[oc*g.k:], taps, g.cg, taps)
	}
	step := evenBlock(g.ocg, blockK)
	for j := range g.Groups {
		for pc := 0; pc < g.ocg; pc += step {
			packPanels(l, g.w[(j*g.ocg+pc)*g.width:], buf[j*g.ocg*g.k:], g.k, false, pc, min(step, g.ocg-pc), 0, g.k)
		}
	}
}

// group adds one group's gradient of one image.
func (g *inputGrad) group(l Level, j int, gy, image []float32) {
	step := evenBlock(g.ocg, blockK)
	for y := 0; y < g.oh; y += g.rowsAtOnce {
		rows := min(g.rowsAtOnce, g.oh-y)
		flags := 0
		for pc := 0; pc < g.ocg; pc += step {
			kk := min(step, g.ocg-pc)
			b := panels{&g.w[(j*g.ocg+pc)*g.width], panelCols * f32, kk * panelCols * f32}
			block(l, rows*g.ow, g.k, kk, operand{&gy[pc*g.out+y*g.ow], f32, &g.off[0]}, b, &g.patches[0], g.k, flags, nil)
			flags = tileLoadC
		}
		g.scatter(l, y, rows, image[j*g.cg:])
	}
}

// scatter adds the patches of output rows y..y+rows into the image.
func (g *inputGrad) scatter(l Level, y, rows int, image []float32) {
	n, length := g.runs()
	for i := range rows * g.ow {
		base := ((y+i/g.ow)*g.StrideH*g.wp + i%g.ow*g.StrideW) * g.C
		for r := range n {
			dst := image[base+g.runOffset(r, n):][:length]
			add(l, dst, dst, g.patches[i*g.k+r*length:][:length])
		}
	}
}

// Conv2DGradBias computes gb[c], the sum of gy over images and positions. The
// shape is valid.
func Conv2DGradBias(s ConvShape, gy, gb []float32) {
	p := planConv(s)
	SumChannels(gb, gy, p.N, p.OC, p.out)
}
