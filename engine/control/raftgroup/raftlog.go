package raftgroup

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// raftLogger passes Raft's log lines on, from warnings upwards.
func raftLogger(log *slog.Logger) hclog.Logger {
	level := hclog.Warn
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: "raft", Level: level, Output: &lineWriter{log: log}, DisableTime: true})
}

// lineWriter turns hclog's lines into slog's records. Of those that say the same again
// and again, as in an outage, it writes one in quietFor, with the number of those that
// it left out.
type lineWriter struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]*repetition // by what stays the same of a line
}

// repetition is a line that was written and may come again.
type repetition struct {
	level slog.Level
	line  string // the newest
	since time.Time
	more  int // that came since
}

const (
	quietFor     = 30 * time.Second
	mostRepeated = 256 // lines that are remembered
)

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
	if level < slog.LevelWarn {
		w.log.Log(context.Background(), level, line)
	} else {
		w.once(time.Now(), level, line)
	}
	return len(b), nil
}

// once writes a line, unless one like it was written a moment ago.
func (w *lineWriter) once(now time.Time, level slog.Level, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, r := range w.said {
		if now.Sub(r.since) < quietFor {
			continue
		}
		if delete(w.said, key); r.more > 0 {
			w.log.Log(context.Background(), r.level, r.line, "as_often", r.more, "within", now.Sub(r.since).Round(time.Second))
		}
	}
	key := constant(line)
	if r := w.said[key]; r != nil {
		r.line, r.more = line, r.more+1
		return
	}
	w.log.Log(context.Background(), level, line)
	if w.said == nil || len(w.said) >= mostRepeated {
		w.said = make(map[string]*repetition)
	}
	w.said[key] = &repetition{level: level, line: line, since: now}
}

// constant returns what stays the same of a line that comes again: its words and
// whom they are about, without terms, times and ports that calls go out from.
func constant(line string) string {
	var kept []string
	for word := range strings.FieldsSeq(line) {
		name, _, isField := strings.Cut(word, "=")
		switch {
		case !isField:
			kept = append(kept, strings.Map(withoutDigits, word))
		case name == "peer" || name == "target" || name == "address" || name == "leader-id" || name == "server-id":
			kept = append(kept, word)
		default:
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, " ")
}

func withoutDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}
