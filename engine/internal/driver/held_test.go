package driver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// What holds an input up is said when it begins, every 30 s, and when it ends,
// however many batches are planned meanwhile.
func TestHeldLog(t *testing.T) {
	var out bytes.Buffer
	h := heldLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	at := time.Unix(100, 0)
	for i := range 700 { // 70 s, held from 5 s to 68 s
		reason := ""
		if i >= 50 && i < 680 {
			reason = "an open transaction"
		}
		h.note(at.Add(time.Duration(i)*100*time.Millisecond), "direct at a.go:1", reason)
	}
	var said []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, "msg=")
		said = append(said, strings.TrimSpace(line))
	}
	want := []string{
		`"an input is held up" input="direct at a.go:1" reason="an open transaction"`,
		`"an input is still held up"`,
		`"an input is still held up"`,
		`"an input is no longer held up" input="direct at a.go:1" after=1m3s`,
	}
	if len(said) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(said), len(want), strings.Join(said, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(said[i], want[i]) {
			t.Errorf("line %d: %s\nwant %s", i, said[i], want[i])
		}
	}
}
