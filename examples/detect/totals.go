package main

import (
	"context"
	"log/slog"

	"github.com/hibana-engine/hibana/engine"
)

// totals counts what was found, for a line at the end. Only the driver's copy of it is ever used.
type totals struct {
	log *slog.Logger

	frames, objects int
	last            uint64 // batch that is counted
}

// add takes in a batch: how many objects each frame has. A batch that comes again after a failure
// isn't counted again.
func (t *totals) add(b engine.Batch, objects []int) error {
	if b.Seq <= t.last {
		return nil
	}
	t.last = b.Seq
	t.frames += len(objects)
	for _, n := range objects {
		t.objects += n
	}
	return nil
}

// write logs the line, unless the stream ended before its first batch.
func (t *totals) write(context.Context) error {
	if t.last > 0 {
		t.log.Info("the stream has ended", "frames", t.frames, "objects", t.objects)
	}
	return nil
}
