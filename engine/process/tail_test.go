package process

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLastWords(t *testing.T) {
	long := strings.Repeat("0123456789\n", 10_000)
	tests := []struct{ name, printed, want string }{
		{"nothing", "", ""},
		{"little", "a\nb\n", "a\nb"},
		{"a panic", long + "panic: boom\n\ngoroutine 1", "panic: boom\n\ngoroutine 1"},
		{"the first line is a panic", "panic: boom", "panic: boom"},
		{"a fatal error after a panic", "panic: a\nx\nfatal error: b\ny", "fatal error: b\ny"},
		{"a panic in the middle of a line", "no panic: here", "no panic: here"},
		{"much", long, strings.TrimSpace(strings.Repeat("0123456789\n", (maxLastWords-1)/11))},
		{"a terminal's commands", "\x1b[2Jred\x07\r\n", "?[2Jred?"},
		{"no UTF-8", "\xff\xfe", "??"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tail Tail
			_, _ = tail.Write([]byte(tt.printed))
			if got := tail.LastWords(); got != tt.want {
				t.Errorf("%d bytes %q, want %d %q", len(got), got, len(tt.want), tt.want)
			}
		})
	}
}

func FuzzLastWords(f *testing.F) {
	f.Add([]byte("panic: boom\n"), []byte("goroutine 1"))
	f.Add(bytes.Repeat([]byte("\xf0"), tailSize), []byte("\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var split, whole Tail
		_, _ = split.Write(a)
		_, _ = split.Write(b)
		_, _ = whole.Write(append(bytes.Clone(a), b...))
		words := split.LastWords()
		if words != whole.LastWords() {
			t.Fatalf("written in two pieces it is %q, at once %q", words, whole.LastWords())
		}
		if !utf8.ValidString(words) || len(words) > maxLastWords || strings.ContainsAny(words, "\x1b\a\x00\r") {
			t.Fatalf("last words %q", words)
		}
	})
}
