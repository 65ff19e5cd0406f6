package raftgroup

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// raftLogger passes Raft's log lines on, from warnings upwards.
func raftLogger(log *slog.Logger) hclog.Logger {
	level := hclog.Warn
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: "raft", Level: level, Output: &lineWriter{log}, DisableTime: true})
}

// lineWriter turns hclog's lines into slog's records.
type lineWriter struct{ log *slog.Logger }

var _ io.Writer = (*lineWriter)(nil)

// Write logs one line, which begins with its level in brackets.
func (w *lineWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	level := slog.LevelInfo
	if tag, rest, ok := strings.Cut(line, "]"); ok {
		line = strings.TrimSpace(rest)
		switch strings.TrimPrefix(tag, "[") {
		case "ERROR":
			level = slog.LevelError
		case "WARN":
			level = slog.LevelWarn
		case "DEBUG", "TRACE":
			level = slog.LevelDebug
		}
	}
	w.log.Log(context.Background(), level, line)
	return len(b), nil
}
