package process

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
)

// Limits of a Tail, in bytes.
const (
	tailSize     = 16 << 10 // is kept
	maxLastWords = 2 << 10  // is told
)

// Tail keeps the end of what a process printed. It is safe for concurrent use.
type Tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write keeps the end. It never fails.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	b = b[max(0, n-tailSize):]
	if over := len(t.buf) + len(b) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	t.buf = append(t.buf, b...)
	return n, nil
}

// LastWords returns what the process said last: from the line on in which a Go
// program says why it dies, or the last lines; 2 KiB at most, without what a
// terminal would take for a command.
func (t *Tail) LastWords() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := bytes.TrimSpace(t.buf)
	from := -1
	for _, cry := range [...]string{"panic: ", "fatal error: "} {
		if bytes.HasPrefix(b, []byte(cry)) {
			from = max(from, 0)
		}
		from = max(from, bytes.LastIndex(b, []byte("\n"+cry)))
	}
	switch {
	case from >= 0:
		b = b[from:]
		b = b[:min(len(b), maxLastWords)]
	case len(b) > maxLastWords:
		b = b[len(b)-maxLastWords:]
		if _, whole, ok := bytes.Cut(b, []byte("\n")); ok { // the first line is cut
			b = whole
		}
	}
	return strings.TrimSpace(strings.Map(printable, string(b)))
}

// printable replaces what isn't to be printed. An invalid byte comes as
// unicode.ReplacementChar, which is three bytes where one was.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r == unicode.ReplacementChar || !unicode.IsPrint(r):
		return '?'
	}
	return r
}
