package kernel

import "time"

// place remembers where the partitions of an input ran last, and for how long.
type place struct {
	last      uint64 // batch that used it last
	used      uint64 // stages made when a job named a stage of it last
	executors []*executor

	batch   uint64        // of longest, 0 before the first success
	longest time.Duration // from a task's launch until it held no slot any more, of those that succeeded
	before  time.Duration // what longest was in the batch before
	known   bool          // there was a batch before
}

// observe takes in how long a task of a batch took to free its slot.
func (pl *place) observe(batch uint64, took time.Duration) {
	if batch != pl.batch {
		pl.before, pl.known = pl.longest, pl.batch != 0
		pl.batch, pl.longest = batch, 0
	}
	pl.longest = max(pl.longest, took)
}

// brief reports whether no task has taken longer than wait to free its slot, in the batch
// and in the one before.
func (pl *place) brief(batch uint64, wait time.Duration) bool {
	if batch != pl.batch {
		return pl.batch != 0 && pl.longest <= wait
	}
	return pl.known && max(pl.before, pl.longest) <= wait
}

// idleBatches is for how many batches a place outlives its last use.
const idleBatches = 1024

// placeOf returns the memory of a stage's input.
func (k *Kernel) placeOf(spec Stage) *place {
	pl := k.places[spec.Input]
	if pl == nil {
		pl = &place{}
		k.places[spec.Input] = pl
	}
	return pl
}

// of returns the executor that had a partition last, nil if none or gone.
func (pl *place) of(p int32) *executor {
	if int(p) >= len(pl.executors) {
		return nil
	}
	if x := pl.executors[p]; x != nil && !x.gone {
		return x
	}
	return nil
}

func (pl *place) set(p int32, x *executor) {
	if int(p) >= len(pl.executors) {
		pl.executors = append(pl.executors, make([]*executor, int(p)+1-len(pl.executors))...)
	}
	pl.executors[p] = x
}

// forgetPlaces drops the places that no batch has used for long, looking through
// them now and then.
func (k *Kernel) forgetPlaces() {
	if k.since < k.swept+idleBatches/8 {
		return
	}
	k.swept = k.since
	for input, pl := range k.places {
		if pl.last+idleBatches < k.since {
			delete(k.places, input)
		}
	}
}
