package dirlog

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// A segment begins with a line that names the format of its frames.
const (
	logFormat   = "hibana batch log "
	logMagic    = logFormat + "2\n"
	logMagicOld = logFormat + "1\n"
)

// readFrames hands the payloads of a segment to apply, those of the first format
// to applyOld, and returns the length of its whole frames. What is behind them is
// what a crash left of the last one.
func readFrames(b []byte, apply, applyOld func(payload []byte) error) (whole int64, err error) {
	next, magic := nextFrame, logMagic
	if strings.HasPrefix(string(b[:min(len(b), len(logMagicOld))]), logMagicOld) {
		next, magic, apply = nextFrameOld, logMagicOld, applyOld
	}
	line := string(b[:min(len(b), len(magic))])
	switch {
	case line == magic:
	case strings.HasPrefix(line, logFormat) && len(line) == len(magic):
		return 0, fmt.Errorf("%w: it begins with %q, this program knows %q: start the newer version of the program", batchlog.ErrFormat, line, magic)
	default:
		return 0, fmt.Errorf("%w: it doesn't begin with %q; the file is left as it is: restore it from a copy, or move the directory away to start anew", batchlog.ErrCorrupt, magic)
	}
	at := len(magic)
	for at < len(b) {
		payload, size, err := next(b[at:])
		if err != nil {
			return int64(at), fmt.Errorf("%w: entry at offset %d: %w; the file is left as it is: restore it from a copy, or move the directory away to start anew", batchlog.ErrCorrupt, at, err)
		}
		if size == 0 {
			break
		}
		if err := apply(payload); err != nil {
			return int64(at), fmt.Errorf("entry at offset %d: %w", at, err)
		}
		at += size
	}
	return int64(at), nil
}
