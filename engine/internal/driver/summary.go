package driver

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/task"
)

// summary adds up what a job's batches did, those of this driver.
type summary struct {
	batches int
	records int64        // that the batches held
	metrics task.Metrics // with what was read once for each output that computes it
}

// add takes in a completed batch.
func (s *summary) add(b plan.BatchInfo) {
	s.batches++
	s.records += b.Records
	s.metrics.Add(b.Metrics)
}

// log says what was done. ended is false for a job that was stopped before its end.
func (s *summary) log(log *slog.Logger, ended bool, took time.Duration) {
	what, level := "what was there at the start is read", slog.LevelInfo
	if !ended {
		what, level = "stopped before all that was there at the start was read", slog.LevelWarn
	}
	log.Log(context.Background(), level, what, "batches", s.batches, "records", s.records, "records_read", s.metrics.RecordsRead, "records_written", s.metrics.RecordsWritten,
		"bad_records", s.metrics.BadRecords, "took", took.Round(time.Millisecond))
}
