package driver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// What holds an input up is said when it begins, every 30 s, and when it ends,
// however many batches are planned meanwhile.
func TestHeldLog(t *testing.T) {
	var out bytes.Buffer
	h := heldLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	at := time.Unix(100, 0)
	for i := range 700 { // 70 s, held from 5 s to 68 s
		var p plan.Share
		if i >= 50 && i < 680 {
			p.Held = "an open transaction"
		}
		h.note(at.Add(time.Duration(i)*100*time.Millisecond), "direct at a.go:1", p)
	}
	for _, p := range []plan.Share{{Held: "another", HeldSince: at.Add(64 * time.Second)}, {}} { // it is told late
		h.note(at.Add(70*time.Second), "direct at a.go:1", p)
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
		`"an input is held up" input="direct at a.go:1" reason=another since=` + at.Add(64*time.Second).Format("2006-01-02T15:04:05.000Z07:00"),
		`"an input is no longer held up" input="direct at a.go:1" after=6s`,
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
