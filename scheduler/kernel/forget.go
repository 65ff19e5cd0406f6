package kernel

import "slices"

// forgetStages drops stages that no job will name again, but those that jobs need. What
// reads them won't be named again either.
func (k *Kernel) forgetStages(e StagesForgotten) {
	b := k.batches[e.Batch]
	if b == nil {
		return
	}
	for _, id := range e.Stages {
		s := b.stages[id]
		if s == nil || len(s.jobs) > 0 {
			continue
		}
		is := func(o *stage) bool { return o == s }
		for _, p := range s.parents {
			p.readers = slices.DeleteFunc(p.readers, is)
		}
		for _, r := range s.readers {
			r.parents = slices.DeleteFunc(r.parents, is)
		}
		delete(b.stages, id)
	}
	if len(b.stages) == 0 {
		delete(k.batches, e.Batch)
	}
	k.forgetIdlePlaces()
}

// idleStages is for how many stages a place outlives its last use where stages are
// forgotten one by one, in a batch that goes on for long.
const idleStages = 1024

// forgetIdlePlaces drops the places that no stage has used for long, looking through them
// now and then.
func (k *Kernel) forgetIdlePlaces() {
	if k.stages < k.sweptStages+idleStages/8 {
		return
	}
	k.sweptStages = k.stages
	for input, pl := range k.places {
		if pl.used+idleStages < k.stages {
			delete(k.places, input)
		}
	}
}
