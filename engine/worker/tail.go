package worker

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the end of what a process printed.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// tailSize is how much a tail keeps, in bytes.
const tailSize = 16 << 10

// Write keeps the end. It never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// lastWords returns the line in which a Go program says why it dies, or its last
// lines.
func (t *tail) lastWords() string {
	const most = 3
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(t.buf)), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			return l
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], " | ")
}
