package compile

// Images may be some of the channels of larger ones: what a concatenation joins is made
// where it is to be, and channels that are cut out are read where they are. Such a part
// has no memory of its own. Its pixels lie as far apart as those of the whole, which the
// layers that make and read it are told. Most layers take pixels side by side only, and
// what they make or read is copied.

// parts says which values are parts of others.
type parts struct {
	of []int // by value, the larger one, -1 for none
	at []int // the first of its channels
}

// whole returns the value in whose memory v is, and from which channel on.
func (p parts) whole(v int) (whole, at int) {
	for whole = v; p.of[whole] >= 0; whole = p.of[whole] {
		at += p.at[whole]
	}
	return whole, at
}

// apart returns how far the pixels of v lie apart, 0 for side by side.
func (p parts) apart(v int, values []value) int {
	if p.of[v] < 0 {
		return 0
	}
	whole, _ := p.whole(v)
	return values[whole].c
}

// reads tells whether input j of an instruction may be a part.
func reads(in instr, j int) bool {
	if _, ok := in.layer.(*conv); ok {
		return j == 0 // what is added lies where the result does
	}
	_, ok := in.layer.(spaced)
	return ok
}

// makes tells whether the result of an instruction may be a part.
func makes(in instr) bool {
	if _, ok := in.layer.(*conv); ok {
		return in.share < 0 // else it adds to what is there
	}
	_, ok := in.layer.(spaced)
	return ok
}

// use is an input of an instruction.
type use struct{ instr, input int }

// finder looks for parts.
type finder struct {
	*Model
	parts
	maker []int   // by value, the instruction, -1 for the network's input
	uses  [][]use // by value
}

// findParts finds the values that can be parts, and tells layers.
func (m *Model) findParts() parts {
	n := len(m.values)
	f := finder{m, parts{make([]int, n), make([]int, n)}, make([]int, n), make([][]use, n)}
	for v := range n {
		f.of[v], f.maker[v] = -1, -1
	}
	for i, in := range m.instrs {
		for j, v := range in.in {
			f.uses[v] = append(f.uses[v], use{i, j})
		}
		for _, v := range in.out {
			f.maker[v] = i
		}
	}
	for i, in := range m.instrs {
		if l, ok := in.layer.(*channelCut); ok && f.fits(in.out[0], in.in[0], -1) && in.in[0] != m.input {
			f.of[in.out[0]], f.at[in.out[0]] = in.in[0], l.from
			m.instrs[i].layer = &inPlace{l}
		}
	}
	for i, in := range m.instrs {
		if l, ok := in.layer.(*concat); ok {
			f.join(i, l)
		}
	}
	f.tell()
	return f.parts
}

// fits tells whether v can be a part of whole: both are images, and all that read v but
// for one instruction, -1 for none, can read a part.
func (f *finder) fits(v, whole, but int) bool {
	if !f.values[v].nhwc || !f.values[whole].nhwc || f.values[v].c > maxSpaced || f.of[v] >= 0 || v == f.output {
		return false
	}
	for _, u := range f.uses[v] {
		if u.instr != but && !reads(f.instrs[u.instr], u.input) {
			return false
		}
	}
	return true
}

// join makes what a concatenation joins parts of its result, as far as they can be.
func (f *finder) join(i int, l *concat) {
	in, at := f.instrs[i], 0
	for j := 0; j < len(in.in); {
		v, n := f.halves(in.in[j:])
		if k := f.maker[v]; k >= 0 && makes(f.instrs[k]) && f.fits(v, in.out[0], i) {
			f.of[v], f.at[v] = in.out[0], at
		}
		for range n {
			at += l.sizes[j]
			j++
		}
	}
}

// halves returns the value that the first n of these are, one after the other: the
// first, or what it and others were cut out of.
func (f *finder) halves(in []int) (v, n int) {
	whole, c := f.of[in[0]], 0
	if whole < 0 {
		return in[0], 1
	}
	for n, v := range in {
		if f.of[v] != whole || f.at[v] != c {
			break
		}
		if c += f.values[v].c; c == f.values[whole].c {
			return whole, n + 1
		}
	}
	return in[0], 1
}

// tell gives the layers of parts the distances.
func (f *finder) tell() {
	for i, in := range f.instrs {
		l, ok := in.layer.(spaced)
		if !ok {
			continue
		}
		to := f.apart(in.out[0], f.values)
		some := to > 0
		from := make([]int, len(in.in))
		for j, v := range in.in {
			from[j] = f.apart(v, f.values)
			some = some || from[j] > 0
		}
		if l, ok := in.layer.(*concat); ok {
			some = f.place(in, l) || some
		}
		if some {
			f.instrs[i].layer = l.spaced(f.values[in.in[0]].c, from, to)
		}
	}
}

// place tells a concatenation which inputs are where they are to be, and whether any is.
func (f *finder) place(in instr, l *concat) (any bool) {
	whole, at := f.whole(in.out[0])
	l.placed = make([]bool, len(in.in))
	for j, v := range in.in {
		w, a := f.whole(v)
		l.placed[j] = w == whole && a == at
		any = any || l.placed[j]
		at += l.sizes[j]
	}
	return any
}
