package driver

import "time"

// unlessPassedOver returns the time of the next batch: at, or the first multiple of a
// stream's slide after the batch before, if that comes earlier. A window that ends there
// holds what was read since its last end, and it is in no later window if the slide is
// the window's length. Where nothing was read since a window's end, times are skipped as
// any.
func (g *generator) unlessPassedOver(at time.Time) time.Time {
	if g.previous == nil {
		return at
	}
	for _, end := range g.windowEnds(g.previous.Time()) {
		if end.Before(at) {
			at = end
		}
	}
	return at
}

// windowEnds returns for each slide of the program's streams its first multiple after a
// batch, unless the batch is at one itself: where a window ends that holds the batch.
func (d *Driver) windowEnds(batch time.Time) []time.Time {
	var ends []time.Time
	for _, slide := range d.slides {
		if last := batch.Truncate(slide); !last.Equal(batch) {
			ends = append(ends, last.Add(slide))
		}
	}
	return ends
}
