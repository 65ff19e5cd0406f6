package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// A terminal that doesn't say how wide it is has a width; what is no terminal has none.
func TestTerminalWidth(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0) // of no size until somebody gives it one
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	if w := TerminalWidth(terminal); w != unknownWidth {
		t.Errorf("a new terminal is %d wide", w)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if w := TerminalWidth(file); w != 0 {
		t.Errorf("a file is %d wide", w)
	}
}
