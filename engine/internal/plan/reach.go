package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd"
)

// Reach says how far back the batches of a program reach: what must be remembered of the
// streams whose RDDs are made again in later batches.
type Reach struct {
	streams map[int32]time.Duration // those that are remembered
	longest time.Duration
}

// Reach adds up how far the streams look back, over windows of windows. The graph is
// complete.
func (g *Graph) Reach() Reach {
	r := Reach{streams: make(map[int32]time.Duration), longest: g.Remembered}
	if g.Remembered > 0 {
		for _, s := range g.Streams {
			r.streams[s.ID] = g.Remembered
		}
	}
	for _, s := range slices.Backward(g.Streams) { // a parent's id is below its children's
		back := r.streams[s.ID] + s.Back
		if back == 0 {
			continue
		}
		for _, p := range s.Parents {
			r.streams[p.ID] = max(r.streams[p.ID], back)
		}
		r.longest = max(r.longest, back)
	}
	return r
}

// Longest returns how far back any stream reaches, 0 if none does.
func (r Reach) Longest() time.Duration { return r.longest }

// Of returns for how long a stream's RDDs are remembered, 0 for their batch alone.
func (r Reach) Of(stream int32) time.Duration { return r.streams[stream] }

// slidesApart returns an error for each operator of several streams that don't have their
// RDDs in the same batches.
func (g *Graph) slidesApart(interval time.Duration) []error {
	var errs []error
	for _, s := range g.Streams {
		for _, p := range s.Parents[min(1, len(s.Parents)):] {
			first, other := g.slideOf(s.Parents[0], interval), g.slideOf(p, interval)
			if first != other {
				errs = append(errs, &rdd.OpError{Op: s.Op, Site: s.Site, Err: fmt.Errorf(
					"%w: one slides by %s, another by %s; give their windows one slide", ErrSlides, first, other)})
				break
			}
		}
	}
	return errs
}

// slideOf returns the distance between a stream's RDDs.
func (g *Graph) slideOf(p Parent, interval time.Duration) time.Duration {
	return max(interval, g.stream(p.ID).Slide)
}

// Slides returns the slides of the graph's streams, ascending: those that don't have an
// RDD in every batch.
func (g *Graph) Slides() []time.Duration {
	var slides []time.Duration
	for _, s := range g.Streams {
		if s.Slide > 0 && !slices.Contains(slides, s.Slide) {
			slides = append(slides, s.Slide)
		}
	}
	slices.Sort(slides)
	return slides
}
