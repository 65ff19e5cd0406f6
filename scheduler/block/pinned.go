package block

import (
	"slices"

	"github.com/hibana-engine/hibana/rdd/task"
)

// pinned accounts for the values at level [task.Pinned]. They aren't given up, so they
// take what they need, and what is left of the budget is for the others: a part of it at
// least, so that tasks go on.
type pinned struct {
	series  map[series]*versions
	bytes   int64 // of all series
	charged int64 // to the budget
}

// series names what versions are of: a partition of the RDDs that a stream makes.
type series struct{ dstream, ordinal, partition int32 }

// versions are those of a series that are kept.
type versions struct {
	all   []version // ascending
	bytes int64
}

// version is what one version of a series takes.
type version struct {
	batch         uint64
	bytes, copied int64
}

// pinnedPart is the part of a budget that pinned values are charged for at most.
const pinnedPart = 0.75

// pin accounts for an entry. mu is held.
func (s *Store) pin(e *entry) {
	k, is := seriesOf(e)
	if !is {
		return
	}
	v := version{batch: e.id.Batch, bytes: e.value.Bytes()}
	if p, is := e.value.(partition); is {
		if shared, is := p.Value.(task.Versioned); is {
			v.copied = shared.Copied()
		}
	}
	of := s.pinned.series[k]
	if of == nil {
		of = &versions{}
		s.pinned.series[k] = of
	}
	i, _ := of.find(v.batch)
	of.all = slices.Insert(of.all, i, v)
	s.recharge(of)
}

// unpin is the contrary of pin. mu is held.
func (s *Store) unpin(e *entry) {
	k, is := seriesOf(e)
	of := s.pinned.series[k]
	if !is || of == nil {
		return
	}
	if i, found := of.find(e.id.Batch); found {
		of.all = slices.Delete(of.all, i, i+1)
	}
	if len(of.all) == 0 {
		delete(s.pinned.series, k)
	}
	s.recharge(of)
}

func seriesOf(e *entry) (series, bool) {
	b, is := e.id.Key.(task.Block)
	return series{b.DStream, b.Ordinal, b.Partition}, is && e.level == task.Pinned
}

func (v *versions) find(batch uint64) (at int, found bool) {
	at = slices.IndexFunc(v.all, func(v version) bool { return v.batch >= batch })
	if at < 0 {
		return len(v.all), false
	}
	return at, v.all[at].batch == batch
}

// recharge brings the budget up to date with a series: the newest version takes all that
// it has, each before it what was copied since.
func (s *Store) recharge(of *versions) {
	var bytes int64
	for i, v := range of.all {
		if i > 0 {
			bytes += v.copied
		}
		if i == len(of.all)-1 {
			bytes += v.bytes
		}
	}
	s.pinned.bytes += bytes - of.bytes
	of.bytes = bytes
	charge := min(s.pinned.bytes, int64(pinnedPart*float64(s.budget.Limit())))
	s.budget.Release(s.pinned.charged - charge)
	s.pinned.charged = charge
}

// Pinned returns how many bytes the values at level [task.Pinned] take, and for how many
// there is room.
func (s *Store) Pinned() (bytes, room int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pinned.bytes, int64(pinnedPart * float64(s.budget.Limit()))
}
