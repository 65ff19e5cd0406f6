package plan

// Cadence says when batches are planned.
type Cadence int

// All three write the same allocations; a job may be started with another one.
const (
	ByInterval       Cadence = iota // at each multiple of the interval
	AsSoonAsPossible                // when there are records and the runner is free, at the latest at the next multiple; kept apart where batches reach back
	UntilEnd                        // one after the other, until what was there at the start is read
)
