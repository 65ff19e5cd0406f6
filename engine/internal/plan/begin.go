package plan

import "slices"

// Begin says where the lineage of a batch begins.
type Begin struct {
	First       uint64                 // the first batch that it reaches back to
	Checkpoints map[string]*Checkpoint // from which states are made, by name; nil for one that is made from its first batch on
}

// Begin walks from the outputs of a batch to its inputs and says how far back each stream
// is needed. A state is needed of some batches, for a window over what it emits perhaps;
// it is made from the newest checkpoint before these, since a checkpoint knows nothing of
// what was emitted, and from its inputs in the batches after that, which may be windows
// themselves. With spare each state is made from the checkpoint before that one, as it has
// to be if that one is lost.
func (g *Graph) Begin(a *Allocation, h *History, spare bool) Begin {
	b := Begin{First: a.Seq, Checkpoints: make(map[string]*Checkpoint, len(g.States))}
	needed, first := make([]uint64, len(g.Streams)+1), a.Seq // the first batch of which a stream is, by id
	if g.Remembered > 0 {
		first = h.Since(a, g.Remembered)
	}
	for i := range needed {
		needed[i] = first
	}
	for _, s := range slices.Backward(g.Streams) { // a parent's id is below its children's
		from := needed[s.ID]
		if i := slices.IndexFunc(g.States, func(st *State) bool { return st.Stream == s.ID }); i >= 0 {
			saved := a.State(g.States[i].Name)
			c := saved.Newest(from - 1)
			if spare && c != nil {
				c = saved.Newest(c.Seq - 1)
			}
			b.Checkpoints[g.States[i].Name] = c
			from = 1
			if saved != nil {
				from = max(from, saved.Begins)
			}
			if c != nil {
				b.First, from = min(b.First, c.Seq), c.Seq+1
			}
		}
		if at := h.At(from); s.Back > 0 && at != nil {
			from = h.Since(at, s.Back)
		}
		b.First = min(b.First, from)
		for _, p := range s.Parents {
			needed[p.ID] = min(needed[p.ID], from)
		}
	}
	return b
}
