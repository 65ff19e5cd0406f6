package main

import (
	"io"
	"strings"
	"sync"
)

// statusLine is a terminal's last line, which is written again and again while
// other text scrolls away above it. On what is no terminal there is no such line.
// It is safe for concurrent use.
type statusLine struct {
	w     io.Writer
	width func() int // of the terminal, 0 if it is none

	mu   sync.Mutex
	text string // as it stands there
}

// terminal reports whether there is one.
func (l *statusLine) terminal() bool { return l.width() > 0 }

// set replaces the line; "" takes it away. It does nothing off a terminal.
func (l *statusLine) set(text string) {
	width := l.width()
	if width == 0 {
		return
	}
	if r := []rune(text); len(r) >= width {
		text = string(r[:width-1])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text != l.text {
		l.clear()
		l.text = text
		l.draw()
	}
}

// Write writes whole lines above the line.
func (l *statusLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	n, err := l.w.Write(b)
	l.draw()
	return n, err
}

// clear and draw are called with mu held. What can't be shown isn't worth an error.
func (l *statusLine) clear() {
	if l.text != "" {
		_, _ = io.WriteString(l.w, "\r\x1b[K")
	}
}

func (l *statusLine) draw() {
	if l.text != "" {
		_, _ = io.WriteString(l.w, l.text)
	}
}

// bar returns a bar of the given width in characters, done by a share from 0 to 1.
func bar(width int, done float64) string {
	full := min(width, int(done*float64(width)))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}
