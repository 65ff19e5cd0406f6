package cli

import (
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// StatusLine is a terminal's last line, which is written again and again while
// other text scrolls away above it. On what is no terminal there is no such line.
// It is safe for concurrent use.
type StatusLine struct {
	w     io.Writer
	width func() int

	mu   sync.Mutex
	text string // as it stands there
}

// NewStatusLine returns the line of the terminal behind w, which is empty. width returns
// the terminal's, 0 if there is none.
func NewStatusLine(w io.Writer, width func() int) *StatusLine { return &StatusLine{w: w, width: width} }

// unknownWidth is how wide a terminal is taken to be that doesn't say it.
const unknownWidth = 80

// TerminalWidth returns the width of the terminal behind a file, 0 if it is none. One that
// doesn't know how wide it is, as in some containers, is taken to be of 80 characters.
func TerminalWidth(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	switch {
	case err != nil:
		return 0
	case w <= 0:
		return unknownWidth
	}
	return w
}

// Terminal reports whether there is one. The methods of nil know of none.
func (l *StatusLine) Terminal() bool { return l != nil && l.width() > 0 }

// Room returns how many characters the line holds, 0 if there is none.
func (l *StatusLine) Room() int {
	if !l.Terminal() {
		return 0
	}
	return l.width() - 1
}

// Set replaces the line; "" takes it away. It does nothing off a terminal.
func (l *StatusLine) Set(text string) {
	if !l.Terminal() {
		return
	}
	width := l.width()
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
func (l *StatusLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	n, err := l.w.Write(b)
	l.draw()
	return n, err
}

// clear and draw are called with mu held. What can't be shown isn't worth an error.
func (l *StatusLine) clear() {
	if l.text != "" {
		_, _ = io.WriteString(l.w, "\r\x1b[K")
	}
}

func (l *StatusLine) draw() {
	if l.text != "" {
		_, _ = io.WriteString(l.w, l.text)
	}
}

// Bar returns a bar of the given width in characters, done by a share from 0 to 1.
func Bar(width int, done float64) string {
	full := min(width, int(done*float64(width)))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}
